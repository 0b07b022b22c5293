#include "generate.h"
#include <string.h>

// Text in a manual page: what troff takes for its own is escaped.
static void troff(const char *text)
{
    if (*text == '.' || *text == '\'') fputs("\\&", stdout);
    for (; *text; text++)
        if (*text == '-') fputs("\\-", stdout);
        else if (*text == '\\') fputs("\\e", stdout);
        else putchar(*text);
}

static void man_options(const cli_option *options)
{
    for (; options && options->name; options++) {
        puts(".TP");
        if (options->letter) printf("\\fB\\-%c\\fR, ", options->letter);
        fputs("\\fB\\-\\-", stdout);
        troff(options->name);
        if (options->arg) printf("\\fR \\fI%s", options->arg);
        puts("\\fR");
        troff(options->help);
        putchar('\n');
    }
}

static void man_verb(const char *above, const cli_verb *verb)
{
    printf(".SS \"sykli %s%s", above, *above ? " " : "");
    troff(verb->name);
    putchar(' ');
    troff(verb->usage);
    puts("\"");
    troff(verb->help);
    puts(".\n");
    man_options(verb->options);
    fputs(".PP\nExample: \\fB", stdout);
    troff(verb->example);
    puts("\\fR");
    for (const cli_verb *const *inner = verb->verbs; inner && *inner; inner++)
        man_verb(verb->name, *inner);
}

static void man(const cli *c)
{
    printf(".TH SYKLI 1 \"\" \"sykli %s\" \"User Commands\"\n", SYKLI_VERSION);
    puts(".SH NAME\nsykli \\- a CI node: scheduler, cache, live tables, mesh\n.SH SYNOPSIS\n"
         ".B sykli\n[\\fIVERB\\fR] [\\fIOPTION\\fR...]\n.SH DESCRIPTION\n"
         "Runs the pipeline of a folder, restores what has been built before, and shows what is\n"
         "going on. Without a verb it is \\fBsykli run\\fR.\n.SH VERBS");
    for (const cli_verb *const *verb = c->verbs; *verb; verb++) man_verb("", *verb);
    puts(".SH COMMON OPTIONS");
    man_options(cli_common_options);
    puts(".SH EXIT STATUS\n.TP\n0\nall required tasks passed, were hits or were skipped\n.TP\n1\n"
         "a task failed, or the pipeline is missing or invalid\n.TP\n2\nthe command line is wrong\n"
         ".TP\n3\nthe machine: node unreachable, disk full, permission\n.TP\n130, 143\n"
         "cancelled by SIGINT, SIGTERM\n.SH ENVIRONMENT\n.TP\nSYKLI_STATE, SYKLI_CACHE, "
         "SYKLI_CONFIG\nthe state folder, the cache folder, the configuration file\n.TP\nNO_COLOR\n"
         "no colour");
}

// ---- completions ----

static void words(const cli_option *options)
{
    for (; options && options->name; options++) printf(" --%s", options->name);
}

static void bash(const cli *c)
{
    puts("_sykli()\n{\n    local word=${COMP_WORDS[COMP_CWORD]} verb= i list\n"
         "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "        case ${COMP_WORDS[i]} in -*) ;; *) verb=${COMP_WORDS[i]}; break ;; esac\n"
         "    done\n    case $verb in");
    for (const cli_verb *const *verb = c->verbs; *verb; verb++) {
        printf("    %s) list=\"", (*verb)->name);
        for (const cli_verb *const *inner = (*verb)->verbs; inner && *inner; inner++)
            printf("%s ", (*inner)->name);
        words((*verb)->options);
        puts("\" ;;");
    }
    fputs("    *) list=\"", stdout);
    for (const cli_verb *const *verb = c->verbs; *verb; verb++) printf("%s ", (*verb)->name);
    fputs("\" ;;\n    esac\n    list+=\"", stdout);
    words(cli_common_options);
    puts("\"\n    COMPREPLY=($(compgen -W \"$list\" -- \"$word\"))\n"
         "    [ -n \"$verb\" ] && [ \"${word#-}\" = \"$word\" ] &&\n"
         "        COMPREPLY+=($(compgen -f -- \"$word\"))\n}\ncomplete -F _sykli sykli");
}

// Text in single quotes, where a quote is left out: help has none that matters.
static void single(const char *text)
{
    for (; *text; text++)
        if (*text != '\'' && *text != '[' && *text != ']') putchar(*text);
}

static void zsh_options(const cli_option *options)
{
    for (; options && options->name; options++) {
        printf(" '--%s%s[", options->name, options->arg ? "=" : "");
        single(options->help);
        printf("]%s%s%s'", options->arg ? ":" : "", options->arg ? options->arg : "",
               options->arg ? ":_files" : "");
    }
}

static void zsh(const cli *c)
{
    puts("#compdef sykli\nlocal -a verbs\nverbs=(");
    for (const cli_verb *const *verb = c->verbs; *verb; verb++) {
        printf("  '%s:", (*verb)->name);
        single((*verb)->help);
        puts("'");
    }
    puts(")\nif (( CURRENT == 2 )); then _describe verb verbs; return; fi\ncase $words[2] in");
    for (const cli_verb *const *verb = c->verbs; *verb; verb++) {
        printf("%s) _arguments", (*verb)->name);
        zsh_options((*verb)->options);
        zsh_options(cli_common_options);
        puts(" '*:file:_files' ;;");
    }
    puts("esac");
}

static void fish_options(const char *condition, const cli_option *options)
{
    for (; options && options->name; options++) {
        printf("complete -c sykli %s -l %s", condition, options->name);
        if (options->letter) printf(" -s %c", options->letter);
        fputs(options->arg ? " -r -d '" : " -d '", stdout);
        single(options->help);
        puts("'");
    }
}

static void fish(const cli *c)
{
    for (const cli_verb *const *verb = c->verbs; *verb; verb++) {
        char condition[128];
        printf("complete -c sykli -n __fish_use_subcommand -a %s -d '", (*verb)->name);
        single((*verb)->help);
        puts("'");
        snprintf(condition, sizeof condition, "-n '__fish_seen_subcommand_from %s'", (*verb)->name);
        fish_options(condition, (*verb)->options);
    }
    fish_options("", cli_common_options);
}

int generate(cli *c, const char *what)
{
    if (!strcmp(what, "man")) man(c);
    else if (!strcmp(what, "bash")) bash(c);
    else if (!strcmp(what, "zsh")) zsh(c);
    else if (!strcmp(what, "fish")) fish(c);
    else
        return cli_fail(c, CLI_USAGE, "usage", "man, bash, zsh and fish are", "%s is not known",
                        what);
    return CLI_OK;
}
