// The command line: verbs, options, output. A verb is one file that defines `const cli_verb
// verb_NAME`; verbs.h lists them. Options are declared once: parsing, --help, completions and the
// man page all read the same rows.
#ifndef CLI_H_INCLUDED
#define CLI_H_INCLUDED

#include "sykli.h"
#include <stdio.h>

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_INFRASTRUCTURE = 3 };
enum { CLI_SET_MAX = 64 }; // options on one command line

typedef struct cli cli;

typedef struct cli_option {
    const char *name; // without the dashes
    char letter;      // 0: none
    const char *arg;  // what the value is called in --help; NULL: a switch; "[X]": may be left out
    const char *help;
} cli_option;

typedef struct cli_verb {
    const char *name;
    const char *help;                    // one line
    const char *usage;                   // what follows the name
    const char *example;                 // a whole command line
    const cli_option *options;           // ends with an empty one; NULL: none
    const struct cli_verb *const *verbs; // verbs of its own, ends with NULL; NULL: none
    int (*run)(cli *c);                  // returns the exit code
} cli_verb;

struct cli {
    const cli_verb *const *verbs; // all of the program
    const cli_verb *verb;         // the one that runs
    const cli_verb *parent;       // whose verb it is, NULL: the program's
    const char **args;            // what is no option
    int arg_count;
    struct { const char *name, *value; } set[CLI_SET_MAX];
    int set_count;
    bool json, colour;
    const char *state_dir, *cache_dir, *config_file;
    sykli_sys sys;
    sykli_mem mem;
    sykli_fault fault;
    void *chunks; // what cli_alloc gave
};

extern const cli_option cli_common_options[]; // of every verb; ends with an empty one

int cli_main(const cli_verb *const *verbs, int argc, char **argv);

// The last value of an option (an empty text for a switch), NULL if it was not given.
const char *cli_value(const cli *c, const char *name);
bool cli_has(const cli *c, const char *name);
// The value as a number, duration or a word of a list; `fallback` if it was not given. What does
// not fit ends in CLI_USAGE by cli_fail, returned; 0 otherwise.
int cli_number(cli *c, const char *name, uint32_t fallback, uint32_t least, uint32_t most,
               uint32_t *out);
int cli_duration(cli *c, const char *name, uint64_t fallback, uint64_t *out_ms);
int cli_choice(cli *c, const char *name, const char *const *words, int fallback, int *out);
// Checks how many words there are that are no options; most < 0: any number.
int cli_arguments(cli *c, int least, int most);

// Prints the help of the verb that the words name: `help run`, `help cache gc`.
int cli_help(cli *c);

// Ends a verb with an error: text on stderr, or the envelope on stdout with --json.
//   exit     returned        code  a word for machines        hint  may be NULL
#if defined(__GNUC__)
__attribute__((format(printf, 5, 6)))
#endif
int cli_fail(cli *c, int exit, const char *code, const char *hint, const char *format, ...);
// The same from an error of the library: its code says which exit.
int cli_fail_sykli(cli *c, int code, const char *text);
// The exit code of an error of the library.
int cli_exit_of(int code);

// Prints the envelope of an answer. data: JSON or NULL
void cli_envelope(const cli *c, bool ok, const char *data);

// Prints text that is not ours: control characters are escaped, `columns_max` 0: no limit.
//   returns  the columns it takes
int cli_put(FILE *to, const char *text, int columns_max);
// The same for a message of ours with such text in it: it may have lines and tabs.
void cli_put_lines(FILE *to, const char *text);
// Prints a format of ours with text that is not. format: %s a text as cli_put prints it, %-9s the
// same with blanks up to so many columns, %u a uint64_t
void cli_say(FILE *to, const char *format, ...);
// Prints JSON that may be somebody else's, in one line that cannot drive a terminal.
void cli_put_json(FILE *to, const char *json, size_t size);
int cli_columns(const char *text, int columns_max);
// Prints a line of a task's output: tabs and, if `colour`, colours pass; all other control is
// dropped, so that a task cannot drive the terminal.
void cli_put_output(FILE *to, const char *text, size_t size, bool colour);

typedef enum cli_style {
    CLI_PLAIN, CLI_GOOD, CLI_BAD, CLI_FAINT, CLI_WARN, CLI_BOLD
} cli_style;
// The sequence that begins a style, "" without colour.
const char *cli_style_on(bool colour, cli_style style);

bool cli_terminal(FILE *file);
int cli_width(FILE *file);  // columns of the terminal, 80 elsewhere
int cli_height(FILE *file); // its rows, 24 elsewhere

// Memory and text for the life of the program: no memory ends it with CLI_INFRASTRUCTURE.
void *cli_alloc(cli *c, size_t size);
// What was given since a mark is given back.
void *cli_mark(const cli *c);
void cli_release(cli *c, void *mark);
char *cli_copy(cli *c, const char *text, size_t size);
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
char *cli_print(cli *c, const char *format, ...);
// The absolute path of a folder, free of links.     returns  NULL: it is not there
char *cli_folder(cli *c, const char *dir);
// The name of a file from a folder on.     returns  NULL: it is somewhere else
char *cli_name_below(cli *c, const char *dir, const char *path);
// What is in a folder, "DIR/NAME", by name, but nothing that begins with a dot.
const char **cli_names(cli *c, const char *dir, size_t *count);
// The whole of a file; "-" is stdin.    returns  NULL with c->fault set
char *cli_read(cli *c, const char *path, size_t *out_size);
// The same of what somebody has written in an editor, without the byte order mark that some put
// there: RFC 8259, section 8.1 and YAML 1.2, section 5.2 let readers leave it out.
char *cli_read_text(cli *c, const char *path, size_t *out_size);
char *cli_unmarked(char *text, size_t *size);
// Replaces a file whole: whoever reads it sees the old text or the new one. What is no regular file
// (a pipe, a terminal) is written to.     returns  0, or the error with c->fault set
int cli_write(cli *c, const char *path, const void *data, size_t size);

#endif
