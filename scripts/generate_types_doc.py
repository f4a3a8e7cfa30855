"""Writes docs/types.md from the catalogue of data source types."""

from pathlib import Path

from registry.types.documentation import markdown

PAGE = Path(__file__).parent.parent / "docs" / "types.md"

if __name__ == "__main__":
    PAGE.write_text(markdown(), encoding="utf-8")
    print(f"wrote {PAGE}")
