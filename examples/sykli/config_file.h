// The configuration file, sykli.yaml: a strict subset of YAML (docs/config.md), read into rows of
// dotted keys.
#ifndef CONFIG_FILE_H_INCLUDED
#define CONFIG_FILE_H_INCLUDED

#include "cli.h"

typedef struct config_item {
    const char *key;   // "cache.max_size"
    const char *value;
    int line, column;  // of the value
    bool in_list;      // one of several values of its key, in their order
} config_item;

typedef struct config_file {
    const char *path;
    config_item *items;
    size_t count;
} config_file;

// Reads text.      returns  0, or EPARSE, EINVAL, ELIMIT with "path:line:column: ..." in c->fault
int config_file_parse(cli *c, const char *path, const char *text, size_t size, config_file *out);
// Reads a file. No file at the default place is an empty one.
//   path     NULL: the default place
//   returns  0, or the exit code after an error message
int config_file_read(cli *c, const char *path, config_file *out);

// The value of a key, NULL if the file does not set it.
const char *config_file_value(const config_file *file, const char *key);

// What a node starts with: the option, else the variable (each NULL: there is none), else the file.
const char *config_file_setting(const cli *c, const config_file *file, const char *option,
                                const char *variable, const char *key);

// The name of this machine's node: --name, else the variable, else the file, else what it was
// called as it made or joined its mesh.     returns  NULL: the host's is meant
const char *config_file_name(cli *c, const config_file *file);
// Keeps the name that --name gives in the state directory.     returns  0 or an error of cli_write
int config_file_keep_name(cli *c);

// A time limit of other programs: what the variable says, else the key of the file at the default
// place, else `fallback_ms`.     returns  0, or the exit code after an error message
int config_file_limit(cli *c, const char *variable, const char *key, uint32_t fallback_ms,
                      uint32_t *out_ms);

// The keys of the live configuration in the file as a JSON object; those of a node's own start
// (mesh.seeds ...) are left out, every other is refused with the nearest known name. All that is
// wrong is told at once, each with its line and column.
//   s        whose table `config` knows the live keys
//   push     leaves out those that are local to this machine
//   returns  the text, NULL after an error message; *exit is set
char *config_file_json(cli *c, const config_file *file, sykli *s, bool push, int *exit);
// Puts the file in force in a context.
//   workers  of the command line, over the file; 0: not given
//   returns  0, or the exit code after an error message
int config_file_apply(cli *c, const config_file *file, sykli *s, uint32_t workers);
// Says on stderr which lines have no effect in this version, and why.
void config_file_notes(cli *c, const config_file *file);

#endif
