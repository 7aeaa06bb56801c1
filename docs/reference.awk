# reference.awk: a header of this house as Doxygen reads it. Its head comment is the file's page, as it stands; a comment is that of
# all declarations that follow it without a gap; what stands behind a member, and goes on below it in the same column, is the
# member's. Bodies, internals and what stands behind a forward declaration, which Doxygen gives to the next struct, are left out.
function text(s) {  # of a comment, as Doxygen prints it
    sub(/^[ \t]*\/\/ ?/, "", s)
    gsub(/\*\//, "* /", s)
    gsub(/[\\@<>#%&"]/, "\\\\&", s)
    return s
}
function plain(s) { sub(/^\/\/ ?/, "", s); gsub(/\*\//, "* /", s); return s }
function flush_doc(   i) { for (i = 1; i <= docs; i++) print "/// " doc[i] }
function forget() { docs = 0; used = 0 }

BEGIN { head = 1; forward = "^(struct|union) [a-z_0-9]+;$" }

head && /^\/\// {
    if (NR == 1) print "/** @file"
    line = plain($0)
    if (NR == 1) { sub(/^[^ ]*: */, "", line); line = "@brief " text(line) }
    else if (!body && line != "") line = text(line)
    if (!body && line == "") { body = 1; print "\n@verbatim"; next }
    print line
    next
}
head { if (body) print "@endverbatim"; print "*/"; head = 0 }

behind && /^ *\/\/ / && index($0, "//") == behind { printf " %s", text($0); next }
behind { print ""; behind = 0 }

# A body at the left margin: its declaration ends with a semicolon.
skipping { if (/^}/) skipping = 0; next }
/^[A-Za-z].*\) \{$/ && !/^(struct|enum|union|typedef) [a-z_0-9]* *\{$/ {
    flush_doc(); used = 1
    sub(/ \{$/, ";"); print
    skipping = 1
    next
}
/^ .*\) \{$/ && open_head { sub(/ \{$/, ";"); print; skipping = 1; open_head = 0; next }

/^[ \t]*\/\/ ---- / { forget(); next }
/^[ \t]*\/\// {
    if (used) forget()
    doc[++docs] = text($0)
    next
}
/^[ \t]*$/ { forget(); print; next }
/^#|^SHOAL_(BEGIN|END|STATIC_ASSERT)/ { if (/^#define/) { flush_doc(); used = 1 } print; continued = /\\$/; next }
/^SHOAL_NAMED_\(/ {  # sync/named.h
    match($0, /\([^)]*\)/)
    x = more = substr($0, RSTART + 1, RLENGTH - 2)
    if (sub(/,.*/, "", x)) sub(/^[^,]*, */, "", more); else more = ""
    makes = "(struct shoal_segment *seg, const char *name, " (more != "" ? more ", " : "") "struct " x " **out);"
    print "/// sync/named.h\nint " x "_create" makes "\n/// sync/named.h\nint " x "_open_or_create" makes
    print "/// sync/named.h\nint " x "_open(struct shoal_segment *seg, const char *name, struct " x " **out);"
    print "/// sync/named.h\nint " x "_close(struct shoal_segment *seg, struct " x " *it);"
    print "/// sync/named.h\nint " x "_unlink(struct shoal_segment *seg, const char *name);"
    forget()
    next
}
/^SHOAL_[A-Z_]+_\(.*\)$/ { forget(); next }
continued { continued = /\\$/; print; next }
{
    first = /^[A-Za-z]/ || (/^ +[A-Za-z]/ && inside && !open_head)
    code = $0; said = ""
    at = match(code, / +\/\/ /)
    if (at && code !~ /"[^"]*\/\/[^"]*"/) { said = text(substr(code, RSTART)); sub(/^ +/, "", said); code = substr(code, 1, at - 1) }
    if (said ~ /^NOLINT/) said = ""
    if (code ~ /\{$/ && said != "") { if (used) forget(); doc[++docs] = said; said = "" }
    if (code ~ /^\}/ || code ~ forward) said = ""
    if (used && said != "") forget()
    if (first && docs) { flush_doc(); used = 1 }
    if (/^(struct|enum|union|typedef).*\{/) inside = 1
    if (/^\}/) { inside = 0; forget() }
    open_head = code ~ /^[A-Za-z]/ && code !~ /[;{}]$/
    printf "%s", code (said != "" ? "  ///< " said : "")
    if (!(behind = said != "" ? index($0, "//") : 0)) print ""
    if (code ~ /\{$/ || code ~ forward) forget()
}
END { if (behind) print ""; if (head) print "*/" }
