#include "generate.h"
#include "pipeline.h"
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
         ".TP\n3\nthe machine: node unreachable, disk full, permission\n.TP\n130, 131, 143\n"
         "cancelled by SIGINT, SIGQUIT, SIGTERM\n.SH ENVIRONMENT\n.TP\nSYKLI_STATE, SYKLI_CACHE, "
         "SYKLI_CONFIG\nthe state folder, the cache folder, the configuration file\n.TP\nNO_COLOR\n"
         "no colour");
}

// ---- completions ----
// What stands as the value of an option is what completes it: words between bars are choices, all
// else is a file.

static bool has_choices(const cli_option *option)
{
    return option->arg && strchr(option->arg, '|');
}

// The choices with blanks between them.
static void choices(const cli_option *option)
{
    for (const char *p = option->arg; *p; p++)
        if (!strchr("[]", *p)) putchar(*p == '|' ? ' ' : *p);
}

static bool takes_tasks(const cli_verb *verb)
{
    return !strcmp(verb->name, "run") || !strcmp(verb->name, "logs")
        || !strcmp(verb->name, "explain");
}

static void words(const cli_option *options)
{
    for (; options && options->name; options++) printf(" --%s", options->name);
}

static void inner_words(const cli_verb *verb)
{
    for (const cli_verb *const *inner = verb->verbs; inner && *inner; inner++)
        printf(" %s", (*inner)->name);
}

// What may stand behind the options of a verb that want a value.
static void bash_values(const char *verb, const cli_option *options)
{
    for (; options && options->name; options++) {
        if (!options->arg || *options->arg == '[') continue;
        printf("    %s:--%s", verb, options->name);
        if (options->letter) printf("|%s:-%c", verb, options->letter);
        fputs(has_choices(options) ? ") values=\"" : ") files=1", stdout);
        if (has_choices(options)) choices(options);
        puts(has_choices(options) ? "\" ;;" : " ;;");
    }
}

static void bash_verb(const char *above, const cli_verb *verb)
{
    printf("    '%s%s%s') list=\"", above, *above ? " " : "", verb->name);
    inner_words(verb);
    words(verb->options);
    puts("\" ;;");
    for (const cli_verb *const *inner = verb->verbs; inner && *inner; inner++)
        bash_verb(verb->name, *inner);
}

// A name with a colon is several words to bash: what it has already is taken off the answers.
static void bash(const cli *c)
{
    puts("_sykli()\n{\n"
         "    local line=${COMP_LINE:0:COMP_POINT} before=${COMP_WORDS[COMP_CWORD-1]}\n"
         "    local word=${line##*[ =]} verb= inner= values= files= list= name part i\n"
         "    [ \"$before\" = = ] && before=${COMP_WORDS[COMP_CWORD-2]}\n"
         "    [ \"${COMP_WORDS[COMP_CWORD]}\" = = ] && before=${COMP_WORDS[COMP_CWORD-1]}\n"
         "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "        case ${COMP_WORDS[i]} in\n"
         "        -*) ;;\n"
         "        *) if [ -z \"$verb\" ]; then verb=${COMP_WORDS[i]}\n"
         "           else inner=${COMP_WORDS[i]}; break; fi ;;\n"
         "        esac\n"
         "    done\n    case $verb:$before in");
    for (const cli_verb *const *verb = c->verbs; *verb; verb++) {
        bash_values((*verb)->name, (*verb)->options);
        for (const cli_verb *const *inner = (*verb)->verbs; inner && *inner; inner++)
            bash_values((*verb)->name, (*inner)->options);
    }
    bash_values("*", cli_common_options);
    puts("    esac\n    case \"$verb${inner:+ $inner}\" in");
    for (const cli_verb *const *verb = c->verbs; *verb; verb++) bash_verb("", *verb);
    fputs("    '') list=\"", stdout);
    for (const cli_verb *const *verb = c->verbs; *verb; verb++) printf("%s ", (*verb)->name);
    puts("\" ;;\n    esac\n    case $verb in");
    for (const cli_verb *const *verb = c->verbs; *verb; verb++) {
        if (takes_tasks(*verb)) continue;
        printf("    %s) [ -n \"$list\" ] || list=\"", (*verb)->name);
        words((*verb)->options);
        puts("\" ;;");
    }
    fputs("    run|logs|explain) [ -n \"$list\" ] || list=\"--help\" ;;\n    esac\n    list+=\"",
          stdout);
    words(cli_common_options);
    puts("\"\n    COMPREPLY=()\n"
         "    [ \"${word#-}\" != \"$word\" ] || list=${list%% --*}\n"
         "    if [ -n \"$files\" ]; then COMPREPLY=($(compgen -f -- \"$word\")); return; fi\n"
         "    COMPREPLY=($(compgen -W \"${values:-$list}\" -- \"$word\"))\n"
         "    [ -z \"$values\" ] || return\n"
         "    case $verb,$word in\n"
         "    *,-* | ,*) ;;\n"
         "    run,* | logs,* | explain,*)\n"
         "        while IFS= read -r name; do\n"
         "            [ \"${name:0:${#word}}\" = \"$word\" ] || continue\n"
         "            part=${word%\"${word##*:}\"}\n"
         "            COMPREPLY+=(\"$(printf %q \"${name#\"$part\"}\")\")\n"
         "        done < <(sykli help --print tasks 2>/dev/null) ;;\n"
         "    *) COMPREPLY+=($(compgen -f -- \"$word\")) ;;\n"
         "    esac\n}\ncomplete -F _sykli sykli");
}

// Text in single quotes, where a quote is left out: help has none that matters.
static void single(const char *text)
{
    for (; *text; text++)
        if (!strchr("'[]:", *text)) putchar(*text);
}

static void zsh_options(const cli_option *options)
{
    for (; options && options->name; options++) {
        bool open = options->arg && *options->arg == '[';
        printf(" \\\n        '--%s%s[", options->name, options->arg ? open ? "=-" : "=" : "");
        single(options->help);
        fputs(options->arg ? open ? "]::" : "]:" : "]", stdout);
        if (options->arg) printf("%s:", options->name);
        if (has_choices(options)) putchar('(');
        if (has_choices(options)) choices(options);
        else if (options->arg) fputs("_files", stdout);
        fputs(has_choices(options) ? ")'" : "'", stdout);
    }
}

static void zsh_verb(const cli_verb *verb)
{
    printf("%s)\n", verb->name);
    if (verb->verbs) {
        fputs("    if (( CURRENT == 3 )); then compadd --", stdout);
        inner_words(verb);
        puts("; fi");
    }
    fputs("    _arguments -s", stdout);
    zsh_options(verb->options);
    zsh_options(cli_common_options);
    printf(" \\\n        '*:%s' ;;\n", takes_tasks(verb) ? "task:_sykli_tasks" : "file:_files");
}

static void zsh(const cli *c)
{
    puts("#compdef sykli\n_sykli_tasks() {\n    local -a tasks\n"
         "    tasks=(${(f)\"$(sykli help --print tasks 2>/dev/null)\"})\n"
         "    compadd -a tasks\n}\n_sykli() {\nlocal -a verbs\nverbs=(");
    for (const cli_verb *const *verb = c->verbs; *verb; verb++) {
        printf("  '%s:", (*verb)->name);
        single((*verb)->help);
        puts("'");
    }
    puts(")\nif (( CURRENT == 2 )); then _describe verb verbs; return; fi\n"
         "local verb=$words[2]\ncase $verb in");
    for (const cli_verb *const *verb = c->verbs; *verb; verb++) zsh_verb(*verb);
    puts("esac\n}\nif [ \"$funcstack[1]\" = _sykli ]; then _sykli \"$@\"; else compdef _sykli "
         "sykli; fi");
}

static void fish_options(const char *condition, const cli_option *options)
{
    for (; options && options->name; options++) {
        bool open = options->arg && *options->arg == '[';
        printf("complete -c sykli %s -l %s", condition, options->name);
        if (options->letter) printf(" -s %c", options->letter);
        if (has_choices(options)) fputs(" -x -a '", stdout);
        if (has_choices(options)) choices(options);
        fputs(has_choices(options) ? "' -d '" : options->arg && !open ? " -r -d '" : " -d '",
              stdout);
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
        if (takes_tasks(*verb))
            printf("complete -c sykli %s -a '(sykli help --print tasks 2>/dev/null)'\n", condition);
        if ((*verb)->verbs) printf("complete -c sykli %s -a '", condition);
        inner_words(*verb);
        if ((*verb)->verbs) puts("'");
    }
    fish_options("", cli_common_options);
}

// The names of the tasks of this folder, a line each. Only of a file: completing a word runs no
// program.
static void tasks(cli *c)
{
    pipeline p;
    size_t size;
    char *text = cli_read_text(c, "sykli.json", &size);
    if (!text) return;
    pipeline_read(c, &p, text, size, false);
    for (size_t i = 0; i < p.task_count && !p.errors.count; i++) {
        cli_put(stdout, p.tasks[i].name, 0);
        putchar('\n');
    }
    pipeline_free(&p);
}

int generate(cli *c, const char *what)
{
    if (!strcmp(what, "man")) man(c);
    else if (!strcmp(what, "bash")) bash(c);
    else if (!strcmp(what, "zsh")) zsh(c);
    else if (!strcmp(what, "fish")) fish(c);
    else if (!strcmp(what, "tasks")) tasks(c);
    else
        return cli_fail(c, CLI_USAGE, "usage", "man, bash, zsh and fish are", "%s is not known",
                        what);
    return CLI_OK;
}
