// The values of secrets: where they come from, and who else may see them while we have them.
#ifndef SECRET_H_INCLUDED
#define SECRET_H_INCLUDED

#include "pipeline.h"

// Finds the values for the wanted tasks, each secret once; what is not found is told on stderr and
// makes its task errored when it would start.     dir  the project folder
void secret_find(cli *c, pipeline *p, const char *dir);

// Whether a variable is set, or a file can be read, that a secret comes from.
bool secret_is_there(cli *c, const pipeline_secret *ref, const char *dir);

// Wipes what was read from files and vaults, once the tasks are added.
void secret_drop(pipeline *p);

// Whether any task names a secret.
bool secret_named(const pipeline *p);

// Takes the values of all variables that some task names as a secret out of the block of memory in
// which this process was given its environment: /proc/PID/environ and ps show zeros then, getenv
// and whoever is started here still find them.
void secret_take(const pipeline *p);

// Overwrites the value of every variable there that is not in the list.
//   keep     names, NULL-terminated; one that ends with * stands for all that begin so
void secret_forget_environment(const char *const *keep);

// While it is hidden, no other process of this user can read the memory or the environment of this
// one or trace it, and it leaves no core file. What it starts is as ever. Linux only.
void secret_hide(bool hidden);

#endif
