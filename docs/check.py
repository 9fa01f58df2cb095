"""Walk the built pages: ``python docs/check.py docs/_build/html``, exit code 1 where one is wrong.

Every page is reached from the first in two clicks, every link within the site leads to a page and
to a place on it, nothing is loaded from elsewhere, and every public name has a place.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import lava_dyads

FIRST = "docs/index.html"
CLICKS = 2


class Page(HTMLParser):
    """The links of a page, the places that links may lead to, and the files that it loads."""

    LOADS = frozenset({("img", "src"), ("script", "src"), ("link", "href"), ("iframe", "src")})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag links to, loads and names."""
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.places.add(value)
            elif (tag, name) in self.LOADS and value:
                self.loaded.append(value)
            elif (tag, name) == ("a", "href") and value:
                self.links.append(value)


class Site:
    """All pages, by their path below the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.pages = {
            path.relative_to(self.folder).as_posix(): Page(path.read_text("utf-8"))
            for path in self.folder.rglob("*.html")
            if "_static" not in path.parts
        }

    def within(self, page: str, link: str) -> tuple[str, str] | None:
        """Return the file and the place that a link means; None: it leads elsewhere."""
        if urlsplit(link).scheme or link.startswith("//"):
            return None
        path, place = urldefrag(link)
        path = path.partition("?")[0]  # which version of the file
        target = self.folder / page if not path else (self.folder / page).parent / unquote(path)
        return target.resolve().relative_to(self.folder).as_posix(), unquote(place)

    def faults(self) -> Iterator[str]:
        """Yield what is wrong, in a line each."""
        for name, page in self.pages.items():
            for link in {*page.links, *page.loaded}:
                meant = self.within(name, link)
                if meant is None:
                    if link in page.loaded:
                        yield f"{name}: loads {link} from elsewhere"
                    continue
                file, place = meant
                if not (self.folder / file).exists():
                    yield f"{name}: {link} leads nowhere"
                elif place and file in self.pages and place not in self.pages[file].places:
                    yield f"{name}: {link}: there is no such place"
        yield from (f"{page}: not reached in {CLICKS} clicks" for page in self.far())
        named = {place for page in self.pages.values() for place in page.places}
        for name in lava_dyads.__all__:
            if f"lava_dyads.{name}" not in named:
                yield f"lava_dyads.{name}: is not described"

    def far(self) -> set[str]:
        """Return the pages that are more clicks away from the first than they may be."""
        reached = {FIRST}
        for _ in range(CLICKS):
            links = [(name, link) for name in reached for link in self.pages[name].links]
            meant = {found[0] for name, link in links if (found := self.within(name, link))}
            reached |= meant & self.pages.keys()
        return self.pages.keys() - reached - {"index.html"}  # which leads to the first by itself


if __name__ == "__main__":
    site = Site(Path(sys.argv[1]))
    faults = sorted(set(site.faults()))
    print(*faults, f"{len(site.pages)} pages, {len(faults)} faults", sep="\n")
    sys.exit(bool(faults))
