"""The documents must not lead to a page that is gone."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


def test_every_link_between_documents_leads_somewhere() -> None:
    pages = [page for page in REPOSITORY.rglob("*.md") if not {".venv", "node_modules", ".local"} & {*page.parts}]
    links = [(page, target) for page in pages for target in LINK.findall(page.read_text(encoding="utf-8"))]
    assert len(links) > 50
    broken = [
        f"{page.relative_to(REPOSITORY)}: {target}" for page, target in links if not (page.parent / target).exists()
    ]
    assert broken == []
