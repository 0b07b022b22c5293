// The pipeline format, versions "1" to "4": reads a document, collects all its errors, expands
// matrices and capabilities into plain tasks, and adds the wanted ones to a context.
#ifndef PIPELINE_H_INCLUDED
#define PIPELINE_H_INCLUDED

#include "cli.h"

typedef struct pipeline_error {
    const char *type;           // a word for machines: duplicate_task
    const char *task;           // NULL: about the whole document
    const char *path;           // tasks[2].depends_on[0]
    const char *message;
    uint32_t line, column;      // from 1
} pipeline_error;

typedef struct pipeline_errors {
    pipeline_error *items;
    size_t count, capacity;
} pipeline_errors;

typedef struct pipeline_intake {
    uint32_t from; // index of the task
    const char *output, *dest;
} pipeline_intake;

typedef struct pipeline_secret {
    const char *name, *source, *key; // source: env, file or vault
    const char *value, *why;         // once looked for: what was found, or why it was not
} pipeline_secret;

typedef enum pipeline_result { RESULT_NONE, RESULT_PASSED, RESULT_FAILED, RESULT_UNSUPPORTED
} pipeline_result;

// A success criterion or an evidence that is wanted, and what became of it.
typedef struct pipeline_proof {
    const char *type, *name, *path; // path: of a file; of evidence a glob
    uint32_t code;                  // exit_code
    bool evidence, required, non_empty;
    pipeline_result result;
    const char *message;            // why it does not hold
} pipeline_proof;

typedef struct pipeline_gate {
    const char *strategy, *message, *env_var, *file_path, *webhook_url;
    uint32_t timeout_ms;
} pipeline_gate;

typedef struct pipeline_review {
    const char *primitive, *agent, **context;
    size_t context_count;
    bool deterministic;
    bool told;                  // how it is done is in `command`; else it is errored when it is due
} pipeline_review;

typedef struct pipeline_task {
    const char *name, *command, *workdir, *condition;
    const char **inputs, **secrets;
    size_t input_count, secret_count;
    sykli_pair *outputs, *env;
    size_t output_count, env_count;
    uint32_t *after;            // indexes of tasks
    size_t after_count, after_capacity;
    uint32_t timeout_ms, stall_ms, retries, processes_max;
    pipeline_intake *intakes;
    pipeline_secret *refs;
    pipeline_proof *proofs;
    size_t intake_count, ref_count, proof_count;
    pipeline_gate *gate;        // NULL: none
    pipeline_review *review;    // NULL: it is none
    const char **covers;        // semantic.covers: files that concern it beside its inputs
    size_t cover_count;
    bool plain;                 // has only the fields that nearly all have: see reader_plain
    bool manual;                // runs only when it is named
    bool smart;                 // runs only when git knows of changes that concern it
    bool may_fail;              // a failure makes it skipped
    bool placed;                // `requires` labels
    bool no_cache, pty;
    bool wanted;
    uint32_t node, index;       // in the document
    const char *skip_reason;
    sykli_task handle;          // once added
} pipeline_task;

typedef struct pipeline {
    sykli_json_doc doc;
    pipeline_task *tasks;
    size_t task_count;
    uint32_t *order;            // all tasks, each behind what it waits for; if there are no errors
    pipeline_errors errors, warnings;
} pipeline;

// Reads a document. It is valid if `errors` is empty; then the tasks are there.
void pipeline_read(cli *c, pipeline *p, const char *text, size_t size, bool strict);
void pipeline_free(pipeline *p);
pipeline_task *pipeline_find(pipeline *p, const char *name); // NULL: not there

// Marks what is to run: all, or the named tasks and those whose name contains `filter`, with all
// they need.     returns  0, or an exit code after an error message
int pipeline_select(cli *c, pipeline *p, const char *const *names, int count, const char *filter);

// Everything that a wanted task needs becomes wanted.
void pipeline_close_over(cli *c, pipeline *p);

// Decides the conditions of the wanted tasks: those that do not hold are skipped, one that is not
// well formed is skipped with a warning.   dir  the project folder
void pipeline_decide(cli *c, pipeline *p, const char *dir);

// What the wanted tasks use and this program does not do yet, by name, and outputs that the
// pipeline itself is in: appended to `errors`.
struct pipeline_source;
void pipeline_check_support(cli *c, pipeline *p, const struct pipeline_source *source);

// Says on stderr what of the wanted tasks has no effect here.
void pipeline_note(const pipeline *p);

// Gives each review the command that the configuration has for its primitive.
struct config_file;
void pipeline_set_reviews(cli *c, pipeline *p, const struct config_file *file);

// Adds the wanted tasks.
//   dir         the project folder
//   timeout_ms  for tasks without their own, 0: none
//   returns     0 or the error of the context
int pipeline_add(cli *c, pipeline *p, sykli *s, const char *dir, uint32_t timeout_ms);

void pipeline_add_error(cli *c, pipeline_errors *to, pipeline_error error);

// Adds what the published JSON Schema refuses and the reader does not; called by pipeline_read.
void pipeline_check_strict(cli *c, pipeline *p);

// Prints errors and warnings on stderr, FILE:LINE:COLUMN: each.
void pipeline_print_errors(const cli *c, const pipeline *p, const char *file);
// The end of a verb whose pipeline has errors: prints them, with --json as one envelope.
int pipeline_refuse(cli *c, const pipeline *p, const char *file);
// The data of `validate --json`.
char *pipeline_report(cli *c, const pipeline *p);

// Where a pipeline comes from.
typedef struct pipeline_source {
    const char *name;  // for the header: its file name, or "stdin"
    const char *path;  // as given
    const char *dir;   // the project folder
    char *text;
    size_t size;
} pipeline_source;
// Finds and reads the pipeline: a program is run with --emit.
//   path     the value of -f, whose project is the current folder; a file or folder as an argument,
//            whose project is there; or NULL: the first known name in the current folder
//   returns  0, or an exit code after an error message
int pipeline_find_source(cli *c, const char *path, pipeline_source *out);
// Whether an argument names a pipeline rather than a task.
bool pipeline_is_path(const char *word);

#endif
