// What the library costs by itself:
//   library context       prints the KiB that an idle context holds
//   library digest FILE [THREADS]
//                         prints the SHA256TREE digest of a file, as `openssl dgst` prints its own;
//                         by so many threads, or one a processor
#define SYKLI_IMPLEMENTATION
#include "sykli.h"
#include <stdio.h>
#include <string.h>

static int context(void)
{
    sykli *s = sykli_open(NULL);
    int rc = sykli_print(s, stdout, "SELECT sum(bytes) FROM memory");
    sykli_close(s);
    return rc < 0;
}

// As an input of a task is read, without what is known of it from the last time.
static int digest(const char *path, int threads)
{
    sykli_sys sys;
    sykli_sys_init(&sys);
    sykli_mem mem = { .sys = &sys };
    sykli__tree tree = { 0 };
    sykli_fault fault;
    sykli_digest id;
    if (sykli__tree_open(&tree, &mem, ".", NULL, &fault)) return 1;
    tree.threads_max = (uint32_t)(threads ? threads : sys.processors(sys.user));
    int rc = sykli__tree_digest_outside(&tree, path, &id);
    sykli__tree_close(&tree);
    for (int i = 0; i < 32; i++) printf("%02x", id.bytes[i]);
    printf("\n");
    return rc < 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "context")) return context();
    if (argc >= 3 && argc <= 4 && !strcmp(argv[1], "digest"))
        return digest(argv[2], argc == 4 ? atoi(argv[3]) : 0);
    fprintf(stderr, "usage: library context | library digest FILE [THREADS]\n");
    return 2;
}
