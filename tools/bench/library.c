// What the library costs by itself:
//   library context       prints the KiB that an idle context holds
//   library digest FILE   prints the SHA256TREE digest of a file, as `openssl dgst` prints its own
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

static int digest(const char *path)
{
    static unsigned char chunk[1 << 17];
    sykli_tree tree;
    sykli_digest id;
    size_t got;
    FILE *file = fopen(path, "rb");
    if (!file) return 1;
    setvbuf(file, NULL, _IONBF, 0);
    sykli_tree_init(&tree);
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0) sykli_tree_add(&tree, chunk, got);
    sykli_tree_end(&tree, &id);
    for (int i = 0; i < 32; i++) printf("%02x", id.bytes[i]);
    printf("\n");
    return ferror(file) | fclose(file);
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "context")) return context();
    if (argc == 3 && !strcmp(argv[1], "digest")) return digest(argv[2]);
    fprintf(stderr, "usage: library context | library digest FILE\n");
    return 2;
}
