// Prints the completions of a shell, from the table of verbs.
#include "generate.h"
#include <string.h>

static int run(cli *c)
{
    static const char *const shells[] = { "bash", "zsh", "fish" };
    int code = cli_arguments(c, 1, 1);
    if (code) return code;
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (!strcmp(c->args[0], shells[i])) return generate(c, shells[i]);
    return cli_fail(c, CLI_USAGE, "usage", "bash, zsh and fish are known",
                    "no completions for %s", c->args[0]);
}

const cli_verb verb_completion = { "completion", "print completions for a shell",
                                   "bash | zsh | fish", "source <(sykli completion bash)", NULL,
                                   NULL, run };
