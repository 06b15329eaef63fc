#include "config/config.h"
#include "config/keys.h"

#include <string.h>

/* Columns of a line in the example file and in the manual's source. */
#define WIDTH 78

/* Text in lines of comment that break at blanks. */
static void write_comment(FILE *file, const char *text)
{
    size_t column = 0;
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (column == 0)
            column = (size_t)fprintf(file, ";");
        else if (column + 1 + word > WIDTH)
            column = (size_t)fprintf(file, "\n;") - 1;
        fprintf(file, " %.*s", (int)word, text);
        column += 1 + word;
        text += word;
        text += *text == ' ';
    }
    fputc('\n', file);
}

static void write_expectation(FILE *file, const struct key *key)
{
    char expectation[256];
    char text[512];
    keys_expectation(key, expectation, sizeof(expectation));
    snprintf(text, sizeof(text), "Expects %s.%s%s%s%s", expectation,
             *key->default_value != '\0' ? " Default: " : "", key->default_value,
             *key->default_value != '\0' ? "." : "",
             key->needs_restart ? " A change needs a restart." : "");
    write_comment(file, text);
}

static void write_key(FILE *file, const struct key *key)
{
    fputc('\n', file);
    write_comment(file, key->help);
    write_expectation(file, key);
    /* A url has no default that could be left in comment; the section has one that works. */
    if (key->type != KEYS_URL)
        fprintf(file, ";%s =%s%s\n", key->name, *key->default_value != '\0' ? " " : "",
                key->default_value);
}

static void write_keys(FILE *file, unsigned sections, unsigned without)
{
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        if ((keys_table[i].sections & sections) != 0 && (keys_table[i].sections & without) == 0)
            write_key(file, &keys_table[i]);
    }
}

static const char head[] =
    "; pgsluice.ini: the configuration of pgsluice, with every key and its default.\n"
    ";\n"
    "; A line is \"[section]\", \"key = value\", \"%include FILE\", blank, or a comment: it\n"
    "; starts with \";\" or \"#\", and \" ;\" ends a value. ${NAME} in a value stands for the\n"
    "; environment variable, ${NAME:-default} for the default where that is not set.\n"
    "; Lengths of time have a unit: us, ms, s, min, h or d; a bare number counts seconds.\n"
    "; pgsluice -c FILE --check finds every mistake; SIGHUP makes pgsluice read it again.\n";

static const char pool_head[] = "\n"
                                "; What holds for the pools of all databases and users.\n"
                                "[pool]\n";

static const char database_head[] =
    "\n"
    "; One section a database, by the name that clients ask for; [database *] serves all\n"
    "; other names. The keys of [pool] may stand here too and then hold for this database.\n"
    "; Without an auth_file, clients log in with the user and password of the url.\n"
    "[database app]\n";

static const char url_line[] = "url = postgresql://app:change-me@localhost:5432/app\n";

static const char user_head[] =
    "\n"
    "; The keys of [pool] for one user, in every database; they go before those above.\n"
    "; [user reports]\n"
    "; size = 5\n"
    "; command_timeout = 10min\n";

void config_write_example(FILE *file)
{
    fputs(head, file);
    fputs("\n[pgsluice]\n", file);
    write_keys(file, KEYS_PGSLUICE, 0);
    fputs(pool_head, file);
    write_keys(file, KEYS_POOL, 0);
    fputs(database_head, file);
    write_keys(file, KEYS_DATABASE, KEYS_POOL);
    fputs(url_line, file);
    fputs(user_head, file);
}

/* A word, with what roff would take for a request or an escape made plain. */
static size_t write_word(FILE *file, const char *word, size_t length, bool is_start)
{
    size_t written = length;
    if (is_start && (*word == '.' || *word == '\''))
        written += (size_t)fprintf(file, "\\&");
    for (size_t i = 0; i < length; i++) {
        if (word[i] == '\\')
            written += (size_t)fprintf(file, "\\e") - 1;
        else
            fputc(word[i], file);
    }
    return written;
}

/* Each sentence begins a line, as mdoc wants it, and long ones break at blanks. */
static void write_prose(FILE *file, const char *text)
{
    size_t column = 0;
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (column + 1 + word > WIDTH) {
            fputc('\n', file);
            column = 0;
        } else if (column > 0) {
            fputc(' ', file);
            column++;
        }
        column += write_word(file, text, word, column == 0);
        if (text[word - 1] == '.')
            column = WIDTH;
        text += word;
        text += *text == ' ';
    }
    fputc('\n', file);
}

static void write_item(FILE *file, const struct key *key)
{
    char expectation[256];
    char text[512];
    keys_expectation(key, expectation, sizeof(expectation));
    fprintf(file, ".It Ic %s\n", key->name);
    write_prose(file, key->help);
    snprintf(text, sizeof(text), "Expects %s.", expectation);
    write_prose(file, text);
    if (*key->default_value != '\0')
        fprintf(file, "Default:\n.Li %s .\n", key->default_value);
    if (key->needs_restart)
        fputs("A change needs a restart.\n", file);
}

static void write_list(FILE *file, const char *title, unsigned sections, unsigned without)
{
    fprintf(file, ".Ss %s\n.Bl -tag -width Ds\n", title);
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        if ((keys_table[i].sections & sections) != 0 && (keys_table[i].sections & without) == 0)
            write_item(file, &keys_table[i]);
    }
    fputs(".El\n", file);
}

void config_write_manual(FILE *file)
{
    write_list(file, "Keys of the pgsluice section", KEYS_PGSLUICE, 0);
    write_list(file, "Keys of pool, database and user sections", KEYS_POOL, 0);
    write_list(file, "Keys of database sections alone", KEYS_DATABASE, KEYS_POOL);
}
