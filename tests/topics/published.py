"""Feeds as web sites publish them."""

from typing import Any

RSS = b"""<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0"><channel>
  <title>Ada&#8217;s tricks</title><link>/</link><language>de-DE</language>
  <item>
    <title>A &amp;lt;new&amp;gt; &amp;amp; &lt;b&gt;bold&lt;/b&gt; trick</title>
    <guid isPermaLink="false">urn:1</guid><link>/tricks/1?a=b&amp;c=d</link>
    <description>&lt;p&gt;It works:&lt;/p&gt;&lt;p&gt;here &lt;i&gt;and&lt;/i&gt; there.&lt;/p&gt;</description>
    <pubDate>Sat, 07 Nov 2026 10:00:00 +0100</pubDate>
  </item>
  <item><title>Another</title><link>/tricks/2</link></item>
</channel></rss>"""
ATOM = b"""<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="de">
  <title>Ada\xe2\x80\x99s tricks</title><link href="/"/>
  <entry xml:base="/tricks/">
    <id>urn:1</id><title type="html">A &amp;lt;new&amp;gt; &amp;amp; &lt;b>bold&lt;/b> trick</title>
    <link href="1?a=b&amp;c=d"/><link rel="self" href="/self"/>
    <published>2026-11-07T09:00:00Z</published><updated>2026-11-08T09:00:00Z</updated>
    <content type="xhtml">
      <div xmlns="http://www.w3.org/1999/xhtml"><p>It works:</p><p>here and there.</p></div>
    </content>
  </entry>
  <entry><id>urn:2</id><title>Another</title><link href="/tricks/2"/><updated>2026-11-01T09:00:00Z</updated></entry>
</feed>"""
JSON_FEED = b"""{
  "version": "https://jsonfeed.org/version/1.1", "title": "Ada\\u2019s tricks", "home_page_url": "/", "language": "de",
  "items": [
    {"id": "urn:1", "url": "/tricks/1?a=b&c=d", "title": "A <new> & bold trick",
     "date_published": "2026-11-07T10:00:00+01:00", "content_html": "<p>It works:</p><p>here <b>and</b> there.</p>"},
    {"id": 2, "external_url": "/tricks/2", "title": "Another"}
  ]}"""


def item(title: str, *, guid: str = "", link: str = "", date: str = "", more: str = "") -> str:
    """Return an RSS item."""
    parts = {"title": title, "guid": guid, "link": link, "pubDate": date}
    return f"<item>{''.join(f'<{name}>{value}</{name}>' for name, value in parts.items() if value)}{more}</item>"


def rss(*items: Any) -> bytes:
    """Return an RSS feed with these items."""
    return f'<rss version="2.0"><channel><title>Tricks</title>{"".join(items)}</channel></rss>'.encode()
