# awk -f tests/one.awk tests/test_A.c tests/test_B.c ... tests/*.h: prints a program that is all of
# them, so that what they test is compiled once. It runs the one whose name it is called by. Fuzz
# targets become one target likewise.
#
# The files know nothing of each other: a name that a file and another, or a header, give at the
# beginning of a line gets the file's own in front while that file is read; its macros end with it.
# This is a macro too, so such a name must not be a member's that the file uses.
function give(name) {
    if (name == "" || name == "main" || (FILENAME, name) in given) return
    given[FILENAME, name] = 1
    givers[name]++
    names[FILENAME] = names[FILENAME] " " name
}
function base(path) { sub(/.*\//, "", path); sub(/\.c$/, "", path); return path }
# The file with its entry, `entry`, renamed.
function include(path, entry, parameters,    own, name, count, i) {
    own = base(path) "_" entry
    print "static int " own parameters ";\n#define " entry " " own
    count = split(names[path], name, " ")
    for (i = 1; i <= count; i++)
        if (givers[name[i]] > 1) print "#define " name[i] " " base(path) "_" name[i]
    print "#include \"" base(path) ".c\""
    for (i = 1; i <= count; i++) if (givers[name[i]] > 1) print "#undef " name[i]
    count = split(macros[path], name, " ")
    for (i = 1; i <= count; i++) print "#undef " name[i]
    print "#undef " entry
}
function when_called(path, action) {
    print "    if (!strcmp(name, \"" base(path) "\")) " action ";"
}

/^static / { # ... NAME(, NAME[, NAME = ... or NAME, NAME;
    line = $0
    sub(/ *[({;[].*/, "", line)
    gsub(/ *=[^,]*/, "", line)
    count = split(line, part, /, */)
    for (i = 1; i <= count; i++) {
        sub(/.*[ *]/, "", part[i])
        give(part[i])
    }
}
/^typedef struct / { give($3) }
/^SYKLI_ROW\(/ {
    gsub(/^SYKLI_ROW\(|,.*/, "")
    give($0)
    give($0 "_columns")
}
/^enum \{/ { # on one line
    line = $0
    gsub(/^enum \{ *| *\}.*|=[^,}]*/, "", line)
    count = split(line, part, /[ ,]+/)
    for (i = 1; i <= count; i++) give(part[i])
}
/^#define / {
    sub(/\(.*/, "", $2)
    if ($2 !~ /^SYKLI_/) macros[FILENAME] = macros[FILENAME] " " $2
}
END {
    while (ARGV[ARGC - 1] ~ /\.h$/) ARGC--
    fuzz = base(ARGV[1]) ~ /^fuzz_/
    print "#define SYKLI_IMPLEMENTATION\n#include \"" (fuzz ? "fuzz" : "test") ".h\""
    for (k = 1; k < ARGC; k++) {
        if (fuzz) include(ARGV[k], "LLVMFuzzerTestOneInput", "(const uint8_t *, size_t)")
        else include(ARGV[k], "main", "(int, char **)")
    }
    if (fuzz) {
        print "static int (*target)(const uint8_t *, size_t);"
        print "int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)"
        print "{\n    return target(data, size);\n}"
        print "int LLVMFuzzerInitialize(int *count, char ***words)\n{\n    char **argv = *words;"
        print "    (void)count;"
    } else print "int main(int argc, char **argv)\n{"
    print "    const char *name = strrchr(argv[0], '/');\n    name = name ? name + 1 : argv[0];"
    for (k = 1; k < ARGC; k++) {
        if (fuzz) when_called(ARGV[k], "target = " base(ARGV[k]) "_LLVMFuzzerTestOneInput")
        else when_called(ARGV[k], "return " base(ARGV[k]) "_main(argc, argv)")
    }
    if (fuzz) print "    if (target) return 0;"
    print "    fprintf(stderr, \"%s is none of these\\n\", name);\n    exit(2);\n}"
}
