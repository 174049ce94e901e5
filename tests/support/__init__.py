"""What the tests need beside pytest: loopback servers, programs, fixtures."""
