// The library, compiled once.
#define SYKLI_IMPLEMENTATION
#define SYKLI_MESH_IMPLEMENTATION
#include "sykli_mesh.h"
