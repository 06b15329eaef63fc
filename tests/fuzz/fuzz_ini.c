/*
 * Feeds bytes as a configuration file: the INI reader, the keys of every type, urls and the checks
 * over the whole. No file is opened (config_load_text()). What is accepted must resolve and show
 * without failing a check, and what is refused must have been told why.
 */
#include "config/config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct config *config)
{
    struct config_row row;
    for (size_t i = 0; config_row(config, i, &row); i++)
        ;
    size_t count = config_database_count(config);
    for (size_t i = 0; i <= count; i++) {
        const char *database = i < count ? config_database_name(config, i) : "any other";
        const char *user = i < count ? config_database_user(config, i) : NULL;
        if (user == NULL)
            user = "bob";
        struct settings *settings = config_resolve(config, database, user);
        if (settings == NULL && i < count)
            abort();
        if (settings != NULL && settings->size + settings->overflow == 0)
            abort();
        settings_release(&settings);
        (void)config_secret(config, database, user);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *told = NULL;
    size_t told_size = 0;
    FILE *problems = open_memstream(&told, &told_size);
    if (problems == NULL)
        abort();
    struct config *config = config_load_text("fuzz.ini", (const char *)data, size, problems);
    fclose(problems);
    if (config == NULL && told_size == 0)
        abort();
    if (config != NULL)
        use(config);
    config_release(&config);
    free(told);
    return 0;
}
