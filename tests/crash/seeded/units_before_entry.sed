# file: core/directory.c
# caught by: ^directory: create$
# Units are marked before their entry tells of them: killed in between, nobody gives them back.
s/^  shoal_store64_release\(&e->state, w\);.*$/  shoal_space_mark_(seg, run, shoal_units_(size), 0, at + 1);\n&/
