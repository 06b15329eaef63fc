/* table.h: uthash, with this project's memory and small tables to begin with. */
#ifndef PGSLUICE_STATE_TABLE_H
#define PGSLUICE_STATE_TABLE_H

#include "base/memory.h"

#include <stdlib.h>

#define uthash_malloc(size) memory_zeroed(size)
#define uthash_free(pointer, size) free(pointer)
/* Most tables here belong to one connection and hold a handful; they grow as they fill. */
#define HASH_INITIAL_NUM_BUCKETS 2U
#define HASH_INITIAL_NUM_BUCKETS_LOG2 1U

#include <uthash.h>

#endif
