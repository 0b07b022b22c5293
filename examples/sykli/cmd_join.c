// Joins the mesh that an invite token names.
#define _GNU_SOURCE 1
#include "ask.h"
#include "config_file.h"
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { TOKEN_MAX = 4096 };

static const cli_option options[] = {
    { "name", 0, "NAME", "of this machine's node; default: the host's" },
    { NULL, 0, NULL, NULL }
};

// Reads one line from stdin, unseen on a terminal: whoever has the token can join.
static int read_token(cli *c, char *out, size_t size)
{
    struct termios before, quiet;
    bool hidden = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
    if (hidden) {
        fputs("Token: ", stderr);
        quiet = before;
        quiet.c_lflag &= (tcflag_t)~ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    char *line = fgets(out, (int)size, stdin);
    if (hidden) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    if (line && *line != '\n') return 0;
    return cli_fail(c, CLI_USAGE, "usage", "`sykli invite` on a machine of the mesh prints one",
                    "no token was given");
}

// Takes blanks away: a token that was copied from a screen may have been wrapped.
static void strip(char *token)
{
    char *to = token;
    for (const char *from = token; *from; from++)
        if (!strchr(" \t\r\n", *from)) *to++ = *from;
    *to = 0;
}

static int run(cli *c)
{
    asking a;
    config_file file;
    char token[TOKEN_MAX], id[65];
    int code = cli_arguments(c, 0, 1);
    if (!code) code = config_file_read(c, NULL, &file);
    if (code) return code;
    bool given = c->arg_count && strcmp(c->args[0], "-");
    if (given && strlen(c->args[0]) >= sizeof token)
        return cli_fail(c, CLI_USAGE, "usage", NULL, "that is no token: over %d bytes", TOKEN_MAX);
    if (given) {
        if (!c->json)
            fputs("sykli: a token on the command line can be seen by others on this machine; "
                  "`sykli join` asks for it\n", stderr);
        strcpy(token, c->args[0]);
    } else code = read_token(c, token, sizeof token);
    if (code) return code;
    strip(token);
    code = ask_begin_alone(&a, c, config_file_name(c, &file));
    if (code) return code;
    int rc = sykli_mesh_join(a.s, c->state_dir, token);
    if (!rc) rc = sykli_mesh_id(a.s, c->state_dir, id);
    if (rc < 0) code = cli_fail_sykli(c, rc, sykli_errmsg(a.s));
    else if ((rc = config_file_keep_name(c)) < 0) code = cli_fail_sykli(c, rc, c->fault.text);
    else if (c->json) cli_envelope(c, true, ask_args(c, "{\"mesh_id\":%s}", id));
    else printf("joined the mesh %s\n", id);
    ask_end(&a);
    return code;
}

const cli_verb verb_join = { "join", "join the mesh that a token names",
                             "[TOKEN | -] [--name NAME]", "sykli join", options, NULL, run };
