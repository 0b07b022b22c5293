// A pipeline in C. `sykli run` compiles a file of the name sykli.c and runs what it prints; built
// by hand with the whole header it runs by itself, or prints with --emit.
#define SYKLI_IMPLEMENTATION
#include "sykli.h"
#include <stdio.h>

int main(int argc, char **argv)
{
    static const char *const parts[] = { "parse", "print", "main" };
    enum { PARTS = sizeof parts / sizeof *parts };
    sykli *s = sykli_open(NULL);
    sykli_task objects[PARTS];
    for (int i = 0; i < PARTS; i++) {
        char command[160], source[64], object[64];
        snprintf(source, sizeof source, "%s.c", parts[i]);
        snprintf(object, sizeof object, "%s.o", parts[i]);
        snprintf(command, sizeof command, "cc -c %s -o %s", source, object);
        objects[i] = sykli_add(s, &(sykli_task_desc){ .name = object, .command = command,
            .inputs = { source, "*.h" }, .outputs = { { "object", object } } });
    }
    sykli_task program = sykli_add(s, &(sykli_task_desc){ .name = "program",
        .command = "cc *.o -o program", .inputs = { "*.o" },
        .outputs = { { "program", "program" } },
        .after_list = objects, .after_count = PARTS });
    sykli_task test = sykli_add(s, &(sykli_task_desc){ .name = "test",
        .command = "./program --self-test", .after = { program }, .timeout_ms = 60000,
        .retries = 1 });
    sykli_add(s, &(sykli_task_desc){ .name = "release", .command = "tar cf release.tar dist",
        .after = { test }, .held = true, // somebody is asked first
        .intake_list = &(sykli_intake){ program, "program", "dist/" }, .intake_count = 1 });
    return sykli_main(s, argc, argv);
}
