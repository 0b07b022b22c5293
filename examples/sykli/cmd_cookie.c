// The secrets of a new mesh.
#include "ask.h"
#include "config_file.h"

static const cli_option options[] = {
    { "name", 0, "NAME", "of this machine's node; default: the host's" },
    { NULL, 0, NULL, NULL }
};

static int make(cli *c)
{
    asking a;
    config_file file;
    char id[65];
    int code = cli_arguments(c, 0, 0);
    if (!code) code = config_file_read(c, NULL, &file);
    if (!code) code = ask_begin_alone(&a, c, config_file_name(c, &file));
    if (code) return code;
    int rc = sykli_mesh_create(a.s, c->state_dir);
    if (!rc) rc = sykli_mesh_id(a.s, c->state_dir, id);
    if (rc < 0) code = cli_fail_sykli(c, rc, sykli_errmsg(a.s));
    else if ((rc = config_file_keep_name(c)) < 0) code = cli_fail_sykli(c, rc, c->fault.text);
    else if (c->json) cli_envelope(c, true, ask_args(c, "{\"mesh_id\":%s}", id));
    else
        printf("A new mesh; this machine is its admin. The secrets are in %s.\n"
               "Next: `sykli node`, then `sykli invite` for every other machine.\n%s\n",
               c->state_dir, id);
    ask_end(&a);
    return code;
}

static int show_id(cli *c)
{
    asking a;
    char id[65];
    int code = cli_arguments(c, 0, 0);
    if (!code) code = ask_begin_alone(&a, c, NULL);
    if (code) return code;
    int rc = sykli_mesh_id(a.s, c->state_dir, id);
    if (rc == SYKLI_ENOENT)
        code = cli_fail(c, CLI_FAILED, "not_found", "`sykli cookie new` makes one, `sykli join` "
                        "enters one", "%s belongs to no mesh", c->state_dir);
    else if (rc < 0) code = cli_fail_sykli(c, rc, sykli_errmsg(a.s));
    else if (c->json) cli_envelope(c, true, ask_args(c, "{\"mesh_id\":%s}", id));
    else puts(id);
    ask_end(&a);
    return code;
}

static const cli_verb verb_new = { "new", "make the secrets of a new mesh", "[--name NAME]",
                                   "sykli cookie new", options, NULL, make };
static const cli_verb verb_show_id = { "show-id", "print the id of the mesh", "",
                                       "sykli cookie show-id", NULL, NULL, show_id };
static const cli_verb *const verbs[] = { &verb_new, &verb_show_id, NULL };

const cli_verb verb_cookie = { "cookie", "make a mesh, show its id", "VERB", "sykli cookie new",
                               NULL, verbs, NULL };
