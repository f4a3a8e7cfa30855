"""What the adapters for files share: a unit is one file, and of what it holds only names change, not a space.

`pointers` says where a value stands; `jsontext`, `yamltext` and `properties` find the characters of it; `literals`
knows how text is written inside of text, and `documents` renames. `walking` lists files, `units` reads and replaces
them, `git` knows the repositories that they lie in, and `adapter` is what every adapter begins with. `uses` finds the
names in a document, `spec_work` and `spec_dependents` say of FlowSpec who uses them and how, `sql` reads tables.
"""
