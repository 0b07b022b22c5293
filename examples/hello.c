#define SYKLI_IMPLEMENTATION
#include "sykli.h"
int main(void) {
    sykli *s = sykli_open(&(sykli_desc){ .workers_max = 4 });
    sykli_task lib = sykli_add(s, &(sykli_task_desc){ .name = "lib",
        .command = "cc -c lib.c -o lib.o", .inputs = { "*.c", "*.h" },
        .outputs = { { "o", "lib.o" } } });
    sykli_add(s, &(sykli_task_desc){ .name = "test", .command = "./check lib.o",
        .after = { lib }, .timeout_ms = 60000 });
    int failed = sykli_run(s);          // 0 all passed, n failed, < 0: sykli_errmsg(s)
    sykli_print(s, stdout, "SELECT name, status, duration_ms FROM tasks");
    sykli_close(s); return failed != 0; }
