"""Writes docs/root-causes.md from the catalogue of root causes."""

from pathlib import Path

from tasks.causes.documentation import markdown

PAGE = Path(__file__).parent.parent / "docs" / "root-causes.md"

if __name__ == "__main__":
    PAGE.write_text(markdown(), encoding="utf-8")
    print(f"wrote {PAGE}")
