// The same with 32-bit limbs and without vectors, as where the compiler has no 128-bit product.
#define SYKLI_PORTABLE 1
#include "test_crypto.c"
