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
    putchar(*verb->help - 'a' + 'A'); // all begin with a small letter
    troff(verb->help + 1);
    puts(".");
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
         "Runs the pipeline of a folder, restores what has been built before, and shows\n"
         "what is going on. Without a verb it is \\fBsykli run\\fR.\n.SH VERBS");
    for (const cli_verb *const *verb = c->verbs; *verb; verb++) man_verb("", *verb);
    puts(".SH COMMON OPTIONS");
    man_options(cli_common_options);
    puts(".SH EXIT STATUS\n.TP\n0\nall required tasks passed, were hits or were skipped\n.TP\n1\n"
         "a task failed, or the pipeline is missing or invalid\n.TP\n2\nthe command line is wrong\n"
         ".TP\n3\nthe machine: node unreachable, disk full, permission\n.TP\n130, 131, 143\n"
         "cancelled by SIGINT, SIGQUIT, SIGTERM\n.SH ENVIRONMENT\n.TP\nSYKLI_STATE, SYKLI_CACHE, "
         "SYKLI_CONFIG\nthe state folder, the cache folder, the configuration file\n.TP\n"
         "SYKLI_MESH_PORT, ...\na key of the configuration, here mesh.port\n.TP\n"
         "CC\nwhat compiles sykli.c\n.TP\nNO_COLOR\nno colour");
    puts(".SH FILES\n.TP\nsykli.json, sykli.c, .go, .rs, .ts, .exs, .py\nthe pipeline: the first "
         "of these\n.TP\n\\&.sykli/\nbeside it: records and logs of the last runs\n.TP\n"
         "~/.config/sykli/sykli.yaml\nthe configuration\n.TP\n~/.cache/sykli\nwhat was built, of "
         "all projects\n.TP\n~/.local/state/sykli\nsecrets, socket and tables of a node");
}

// ---- completions ----
// What stands in the usage of a verb, and as the value of an option, is what completes it: words in
// small letters are choices, FILE, DIR and PATH are files; for all else there is nothing to offer.

static bool is_small(const char *text) { return *text >= 'a' && *text <= 'z'; }

static bool has_choices(const cli_option *option)
{
    return option->arg && strchr(option->arg, '|') && is_small(option->arg);
}

static bool wants_file(const cli_option *option)
{
    return option->arg && (strstr(option->arg, "FILE") || strstr(option->arg, "DIR"));
}

// Choices with blanks between them.
static void choices(const char *text)
{
    for (; *text; text++)
        if (*text != ' ') putchar(*text == '|' ? ' ' : *text);
}

static bool takes_tasks(const cli_verb *verb)
{
    return !strcmp(verb->name, "run") || !strcmp(verb->name, "logs")
        || !strcmp(verb->name, "explain");
}

static bool takes_files(const cli_verb *verb) { return !strncmp(verb->usage, "[FILE", 5); }

static void words(const cli_option *options)
{
    for (; options && options->name; options++) printf(" --%s", options->name);
}

static void names(const cli_verb *const *verbs)
{
    for (; verbs && *verbs; verbs++) printf(" %s", (*verbs)->name);
}

// The words that may stand behind a verb.
static void inner_words(const cli *c, const cli_verb *verb)
{
    if (verb->verbs) names(verb->verbs);
    else if (!strncmp(verb->usage, "[VERB", 5)) names(c->verbs);
    else if (is_small(verb->usage)) {
        putchar(' ');
        choices(verb->usage);
    }
}

// The options that want a value in the next word, as a pattern.
static void bash_valued(const cli_option *options)
{
    for (; options && options->name; options++) {
        if (!options->arg || *options->arg == '[') continue;
        printf("|--%s", options->name);
        if (options->letter) printf("|-%c", options->letter);
    }
}

// What may stand behind them.
static void bash_values(const char *verb, const cli_option *options)
{
    for (; options && options->name; options++) {
        if (!options->arg || *options->arg == '[') continue;
        printf("    %s:--%s", verb, options->name);
        if (options->letter) printf("|%s:-%c", verb, options->letter);
        if (has_choices(options)) {
            fputs(") list=\"", stdout);
            choices(options->arg);
            puts("\" kind=choices ;;");
        } else puts(wants_file(options) ? ") kind=file ;;" : ") return ;;");
    }
}

static void bash_verb(const cli *c, const char *above, const cli_verb *verb)
{
    for (const cli_verb *const *inner = verb->verbs; inner && *inner; inner++)
        bash_verb(c, verb->name, *inner);
    printf("    \"%s%s%s \"*) list=\"", above, *above ? " " : "", verb->name);
    inner_words(c, verb);
    words(verb->options);
    puts(takes_tasks(verb) ? "\" kind=task ;;" : takes_files(verb) ? "\" kind=file ;;" : "\" ;;");
}

// Readline breaks words at colons and equals signs: of a name with a colon, what is there already
// is taken off the answers.
static void bash(const cli *c)
{
    puts("_sykli()\n{\n"
         "    local line=${COMP_LINE:0:COMP_POINT} before=${COMP_WORDS[COMP_CWORD-1]}\n"
         "    local word=${line##*[ =]} verb= inner= list= kind= name part i\n"
         "    COMPREPLY=()\n"
         "    [ \"$before\" = = ] && before=${COMP_WORDS[COMP_CWORD-2]}\n"
         "    [ \"${COMP_WORDS[COMP_CWORD]}\" = = ] && before=${COMP_WORDS[COMP_CWORD-1]}\n"
         "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "        case ${COMP_WORDS[i]} in\n"
         "        =) ((++i)) ;;");
    fputs("        ' '", stdout); // what may stand before the verb
    bash_valued(c->verbs[0]->options);
    bash_valued(cli_common_options);
    puts(") [ -n \"$verb\" ] || [ \"${COMP_WORDS[i+1]}\" = = ] || ((++i)) ;;\n"
         "        -*) ;;\n"
         "        *) if [ -z \"$verb\" ]; then verb=${COMP_WORDS[i]}\n"
         "           else inner=${COMP_WORDS[i]}; break; fi ;;\n"
         "        esac\n"
         "    done\n    case \"$verb $inner \" in");
    for (const cli_verb *const *verb = c->verbs; *verb; verb++) bash_verb(c, "", *verb);
    fputs("    \" \"*) list=\"", stdout);
    names(c->verbs);
    words(c->verbs[0]->options);
    fputs("\" ;;\n    esac\n    list+=\"", stdout);
    words(cli_common_options);
    puts("\"\n    [ \"${word#-}\" != \"$word\" ] || list=${list%% --*}\n"
         "    case ${verb:-run}:$before in");
    for (const cli_verb *const *verb = c->verbs; *verb; verb++) {
        bash_values((*verb)->name, (*verb)->options);
        for (const cli_verb *const *inner = (*verb)->verbs; inner && *inner; inner++)
            bash_values((*verb)->name, (*inner)->options);
    }
    bash_values("*", cli_common_options);
    puts("    *) case $word in -*) kind= ;; esac ;;\n"
         "    esac\n"
         "    [ \"$kind\" = file ] || COMPREPLY=($(compgen -W \"$list\" -- \"$word\"))\n"
         "    case $kind in\n"
         "    file) compopt -o filenames 2>/dev/null\n"
         "        COMPREPLY=($(compgen -f -- \"$word\")) ;;\n"
         "    task)\n"
         "        while IFS= read -r name; do\n"
         "            [ \"${name:0:${#word}}\" = \"$word\" ] || continue\n"
         "            part=${word%\"${word##*:}\"}\n"
         "            COMPREPLY+=(\"$(printf %q \"${name#\"$part\"}\")\")\n"
         "        done < <(sykli help --print tasks 2>/dev/null) ;;\n"
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
        const char *equals = !options->arg ? "" : *options->arg == '[' ? "=-" : "=";
        fputs(" \\\n        ", stdout);
        if (options->letter)
            printf("'(-%c --%s)'{-%c%s,--%s%s}'[", options->letter, options->name,
                   options->letter, options->arg ? "+" : "", options->name, equals);
        else printf("'--%s%s[", options->name, equals);
        single(options->help);
        putchar(']');
        if (options->arg) printf("%s:%s:", *options->arg == '[' ? ":" : "", options->name);
        if (has_choices(options)) {
            putchar('(');
            choices(options->arg);
            putchar(')');
        } else if (options->arg) fputs(wants_file(options) ? "_files" : " ", stdout);
        putchar('\'');
    }
}

static void zsh_arguments(const cli *c, const cli_verb *verb)
{
    fputs("_arguments -s", stdout);
    zsh_options(verb->options);
    zsh_options(cli_common_options);
    fputs(" \\\n        '*:argument:", stdout);
    if (takes_tasks(verb)) fputs("_sykli_tasks", stdout);
    else if (takes_files(verb)) fputs("_files", stdout);
    else {
        putchar('(');
        inner_words(c, verb);
        putchar(')');
    }
    puts("' ;;");
}

static void zsh_verb(const cli *c, const cli_verb *verb)
{
    printf("%s) ", verb->name);
    if (verb->verbs) puts("case $words[3] in");
    for (const cli_verb *const *inner = verb->verbs; inner && *inner; inner++) {
        printf("    %s) ", (*inner)->name);
        zsh_arguments(c, *inner);
    }
    if (verb->verbs) fputs("    *) ", stdout);
    zsh_arguments(c, verb);
    if (verb->verbs) puts("    esac ;;");
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
    puts(")\nif (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then\n"
         "    _describe verb verbs\n    return\nfi\n"
         "case ${words[2]:#-*} in");
    for (const cli_verb *const *verb = c->verbs; *verb; verb++) zsh_verb(c, *verb);
    fputs("'') ", stdout);
    zsh_arguments(c, c->verbs[0]);
    puts("esac\n}\nif [ \"$funcstack[1]\" = _sykli ]; then _sykli \"$@\"; else compdef _sykli "
         "sykli; fi");
}

static void fish_options(const char *condition, const cli_option *options)
{
    for (; options && options->name; options++) {
        bool open = options->arg && *options->arg == '[';
        printf("complete -c sykli %s -l %s", condition, options->name);
        if (options->letter) printf(" -s %c", options->letter);
        if (has_choices(options)) {
            fputs(" -x -a '", stdout);
            choices(options->arg);
            putchar('\'');
        } else if (options->arg && !open) fputs(wants_file(options) ? " -r -F" : " -x", stdout);
        fputs(" -d '", stdout);
        single(options->help);
        puts("'");
    }
}

// What stands behind a verb that does not have verbs of its own.
static void fish_arguments(const cli *c, const char *condition, const cli_verb *verb)
{
    if (takes_files(verb)) printf("complete -c sykli %s -F\n", condition);
    else if (takes_tasks(verb))
        printf("complete -c sykli %s -a '(sykli help --print tasks 2>/dev/null)'\n", condition);
    else if (!strncmp(verb->usage, "[VERB", 5) || is_small(verb->usage)) {
        printf("complete -c sykli %s -a '", condition);
        inner_words(c, verb);
        puts("'");
    }
}

static void fish_verb(const cli *c, const cli_verb *verb)
{
    char condition[256];
    snprintf(condition, sizeof condition, "-n '__fish_seen_subcommand_from %s'", verb->name);
    fish_options(condition, verb->options);
    if (!verb->verbs) fish_arguments(c, condition, verb);
    for (const cli_verb *const *inner = verb->verbs; inner && *inner; inner++) {
        printf("complete -c sykli -n '__fish_seen_subcommand_from %s; and not "
               "__fish_seen_subcommand_from", verb->name);
        names(verb->verbs);
        printf("' -a %s -d '", (*inner)->name);
        single((*inner)->help);
        puts("'");
        snprintf(condition, sizeof condition, "-n '__fish_seen_subcommand_from %s; and "
                 "__fish_seen_subcommand_from %s'", verb->name, (*inner)->name);
        fish_options(condition, (*inner)->options);
        fish_arguments(c, condition, *inner);
    }
}

static void fish(const cli *c)
{
    puts("complete -c sykli -f");
    for (const cli_verb *const *verb = c->verbs; *verb; verb++) {
        printf("complete -c sykli -n __fish_use_subcommand -a %s -d '", (*verb)->name);
        single((*verb)->help);
        puts("'");
        fish_verb(c, *verb);
    }
    fish_options("-n __fish_use_subcommand", c->verbs[0]->options);
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
