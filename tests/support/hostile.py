"""Hostile texts of calls, in one table for every destination."""

ESCAPE = "\x1b[2J\x1b]0;pwned\x07\x9b31mred\x7f\u202egnp.exe\u2066"
CHATS = (
    "<!channel> <!here> <!everyone> <!subteam^S123>",
    "@here @channel @everyone <@U12345>",
    "#general <#C12345>",
    "http://evil.example/a https://evil.example/?q=1 HTTPS://EVIL.EXAMPLE ftp://evil.example",
    "www.evil.example mailto:ann@evil.example javascript:alert(1)",
    "<http://evil.example|your invoice> <mailto:ann@evil.example|Ann>",
    "[your invoice](http://evil.example) ![x](https://evil.example/x.png)",
    "*bold* _italic_ ~struck~ `code` ```block``` > quote",
    "&lt;!channel&gt; &amp;lt;",
    ESCAPE,
)
"""What chats take for mentions, channels, links and formatting."""
ALIVE = ("<!", "<@U", "<#", "<http", "<mailto", "://evil", "://EVIL", "](", "www.", "script:a")
"""What must not be left of them wherever a chat may read it."""
FORMULAS = (
    *("=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://evil.example","x")', "'=1+1"),
    *(" =1", "\t=1", "\r=1", "\n=1", "\u00a0=1", "\u3000=1", " \t =1", "\x1b=1"),
    *("\u200b=1", "\ufeff=1", "\u2060+1", "\u00ad-1", "\u180e@A1", "\u115f=1", "\u3164=1"),
    *("\ufe0f=1", "\u034f=1", "\u202e=1"),
    *("＝1", "＋1", "－1", "＠A1", "﹦1", "﹢1", "﹣1", "﹫A1", "⁼1", "⁺1", "−1"),  # noqa: RUF001
)
"""What spreadsheets may take for a formula, or in their wake for another cell."""
HARMLESS = (
    "ann",
    "gpt-4o",
    "a=b",
    "100 - 1",
    "Ann O'Neil",
    " padded",
    "日本語",
    "_x",
    "(none)",
    "",
)
"""What is left as it is."""
