// Reports every error of a pipeline; runs nothing but the program that prints it.
#include "ci.h"

static const cli_option options[] = {
    { "file", 'f', "FILE", "the pipeline: JSON, a program, or - for stdin" },
    { "strict", 0, NULL, "refuse what the published schema refuses" },
    { NULL, 0, NULL, NULL }
};

static int validate(cli *c)
{
    pipeline_source source;
    pipeline p;
    const char *path = c->arg_count ? c->args[0] : cli_value(c, "file");
    int code = pipeline_find_source(c, path, &source);
    if (code) return code;
    pipeline_read(c, &p, source.text, source.size, cli_has(c, "strict"));
    bool valid = !p.errors.count;
    if (c->json) cli_envelope(c, valid, pipeline_report(c, &p));
    else {
        pipeline_print_errors(c, &p, source.path);
        ci_annotate_pipeline(c, &p, source.path);
        if (valid) printf("%s is valid: %zu task%s\n", source.path, p.task_count,
                          p.task_count == 1 ? "" : "s");
    }
    pipeline_free(&p);
    return valid ? CLI_OK : CLI_FAILED;
}

const cli_verb verb_validate = { "validate", "check a pipeline and name every error",
                                 "[FILE] [--strict]", "sykli validate sykli.json --json", options,
                                 NULL, validate };
