#include "config/config.h"

#include "base/check.h"
#include "base/memory.h"
#include "config/gather.h"
#include "config/ini_reader.h"
#include "config/validate.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static unsigned count_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? (unsigned)count : 1;
}

/* What was given in [pgsluice], or the default; every value was tried before. */
static void fill_fields(struct config *config)
{
    char problem[PROBLEMS_TEXT];
    const struct section *section = sections_pgsluice(config->sections);
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        const struct key *key = &keys_table[i];
        if ((key->sections & KEYS_PGSLUICE) == 0)
            continue;
        const char *text = section->entries[i].text;
        bool is_good = keys_apply(key, text != NULL ? text : key->default_value, config, problem,
                                  sizeof(problem));
        check(is_good);
    }
    for (size_t i = 0; i < config->listen_count; i++) {
        if (config->listen[i].port == 0)
            config->listen[i].port = config->port;
    }
    if (config->workers == 0)
        config->workers = count_cores();
}

static void read_users(struct config *config, struct gather *gather)
{
    if (config->auth_file == NULL)
        return;
    config->sections->has_users = true;
    const struct section *section = sections_pgsluice(config->sections);
    const struct place *place = &section->entries[keys_index(keys_find("auth_file"))].place;
    if (!gather->may_read) {
        problems_error(&gather->problems, place, "[pgsluice] auth_file", "not allowed here");
        return;
    }
    char *file = ini_reader_beside(place->file, config->auth_file);
    free(config->auth_file);
    config->auth_file = file;
    FILE *stream = fopen(file, "re");
    if (stream == NULL) {
        problems_error(&gather->problems, place, "[pgsluice] auth_file",
                       "expected a file that can be read, got \"%s\": %s", file, strerror(errno));
        return;
    }
    users_read(&config->sections->users, stream, file, &gather->problems);
    fclose(stream);
}

static struct config *new_config(const char *file)
{
    struct config *config = memory_new(struct config);
    config->references = 1;
    config->file = file != NULL ? memory_string(file) : NULL;
    config->sections = sections_new();
    return config;
}

static struct config *finish(struct config *config, struct gather *gather)
{
    fill_fields(config);
    read_users(config, gather);
    struct place whole = {.file = config->file != NULL ? config->file : "DATABASE_URL"};
    validate_config(config, &whole, &gather->problems);
    if (gather->problems.errors > 0)
        config_release(&config);
    return config;
}

static bool is_nothing_given(const char *file)
{
    const char *url = getenv("DATABASE_URL");
    return file == NULL && (url == NULL || *url == '\0');
}

struct config *config_load(const char *file, FILE *problems)
{
    if (is_nothing_given(file)) {
        fprintf(problems,
                "there is no configuration: name a file (pgsluice -c FILE), or set the environment "
                "variable DATABASE_URL, such as postgresql://user:password@host:5432/database\n");
        return NULL;
    }
    struct config *config = new_config(file);
    struct gather gather = {
        .sections = config->sections, .problems.out = problems, .may_read = true};
    if (file != NULL)
        gather_file(&gather, file);
    gather_environment(&gather);
    return finish(config, &gather);
}

struct config *config_load_text(const char *name, const char *text, size_t length, FILE *problems)
{
    struct config *config = new_config(name);
    struct gather gather = {.sections = config->sections, .problems.out = problems};
    gather_text(&gather, name, text, length);
    return finish(config, &gather);
}
