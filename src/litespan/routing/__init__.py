"""Which exporter is given which calls: by stage, with or without content."""
