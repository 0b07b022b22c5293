// The portable path leaves out what only some processors have. The emulators that try it have it.
#undef SYKLI_PORTABLE
#include "test_hash.c"
