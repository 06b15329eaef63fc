/* main.c: the command line. */
#include "base/log.h"
#include "config/config.h"
#include "daemon/daemon.h"
#include "daemon/test_connect.h"

#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAIN_DEFAULT_FILE PGSLUICE_SYSCONFDIR "/pgsluice.ini"

static const char main_usage[] =
    "Usage: pgsluice [-c FILE] [--check | --test-connect]\n"
    "Leases each transaction of many clients a connection from a pool of few.\n"
    "\n"
    "  -c, --config FILE    configuration (default: " MAIN_DEFAULT_FILE ",\n"
    "                       or the environment alone where DATABASE_URL is set)\n"
    "      --check          read the configuration, say every mistake in it, and exit\n"
    "      --test-connect   the same, then connect to every configured database\n"
    "      --version        print the version\n"
    "      --help           print this\n";

enum main_task { MAIN_SERVE, MAIN_CHECK, MAIN_TEST_CONNECT };

/* The configuration file that is meant where none was named; NULL: none. */
static const char *main_default_file(void)
{
    if (access(MAIN_DEFAULT_FILE, R_OK) == 0)
        return MAIN_DEFAULT_FILE;
    const char *url = getenv("DATABASE_URL");
    if (url != NULL && url[0] != '\0')
        return NULL;
    fputs("pgsluice: no file was named with -c, and DATABASE_URL is not set\n", stderr);
    return MAIN_DEFAULT_FILE;
}

static int main_run(const char *file, enum main_task task)
{
    struct config *config = config_load(file, stderr);
    if (config == NULL)
        return 1;
    int status = 0;
    switch (task) {
    case MAIN_SERVE:
        return daemon_run(config);
    case MAIN_CHECK:
        printf("%s: the configuration is correct\n",
               config->file != NULL ? config->file : "environment");
        break;
    case MAIN_TEST_CONNECT:
        status = test_connect(config, stdout);
        break;
    }
    config_release(&config);
    return status;
}

int main(int argc, char **argv)
{
    enum { OPTION_CHECK = 256, OPTION_TEST_CONNECT, OPTION_VERSION, OPTION_HELP };
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, OPTION_CHECK},
        {"test-connect", no_argument, NULL, OPTION_TEST_CONNECT},
        {"version", no_argument, NULL, OPTION_VERSION},
        {"help", no_argument, NULL, OPTION_HELP},
        {NULL, 0, NULL, 0},
    };
    const char *file = NULL;
    enum main_task task = MAIN_SERVE;
    int option;
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            file = optarg;
            break;
        case OPTION_CHECK:
            task = MAIN_CHECK;
            break;
        case OPTION_TEST_CONNECT:
            task = MAIN_TEST_CONNECT;
            break;
        case OPTION_VERSION:
            puts(PACKAGE_STRING);
            return 0;
        case OPTION_HELP:
            fputs(main_usage, stdout);
            return 0;
        default:
            fputs(main_usage, stderr);
            return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "pgsluice: unexpected argument \"%s\"\n%s", argv[optind], main_usage);
        return 2;
    }
    return main_run(file != NULL ? file : main_default_file(), task);
}
