// The stories of test_pool.c where the host is compiled without threads.
#define SYKLI_NO_THREADS
#include "test_pool.c"
