"""What the adapters for files share: a unit is one file, and of what it holds only names change, not a space.

`pointers` says where a value stands, `jsontext` and `yamltext` find the characters of it, `literals` knows how text is
written inside of text, `documents` renames; `walking` lists files, `units` reads and replaces them, `git` knows the
repositories that they lie in, `sql` reads tables out of statements, and `adapter` is what an adapter begins with.
"""
