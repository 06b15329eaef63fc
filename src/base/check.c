#include "base/check.h"

#include "base/log.h"

void check_failed(const char *expression, const char *file, int line)
{
    log_panic("check failed: %s, at %s:%d", expression, file, line);
}
