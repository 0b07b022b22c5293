/* sykli_mesh.h - v0.1.0 - joins sykli nodes into an encrypted peer mesh - MIT or public domain, text at the end

   CONTENTS
     public
     >>wire      cursor, writer: bytes in and out with every length checked
     >>crypto    X25519, Ed25519, ChaCha20-Poly1305, HKDF behind one table of functions
     >>noise     handshake patterns with psk modifiers, cipher states
     >>roster    signed envelopes, roster, invite tokens, key files
     >>link      HELLO, handshake, records, frames, streams, credit, priority: bytes in, bytes out
     >>member    who is in the mesh: SWIM semantics over sessions
     >>net       sockets
     >>mesh      the node: control socket, routes, cache lookups, config push, invites               */

#ifndef SYKLI_MESH_H_INCLUDED
#define SYKLI_MESH_H_INCLUDED
#include "sykli.h"
#ifdef __cplusplus
extern "C" {
#endif
#ifdef __cplusplus
}
#endif
#endif // SYKLI_MESH_H_INCLUDED

#if defined(SYKLI_MESH_IMPLEMENTATION)
#ifndef SYKLI_MESH_IMPLEMENTED
#define SYKLI_MESH_IMPLEMENTED

#include <assert.h>
#include <string.h>

// >>wire ---- bytes in and out with every length checked
// >>crypto ---- X25519, Ed25519, ChaCha20-Poly1305, HKDF behind one table of functions
// >>noise ---- handshake patterns with psk modifiers, cipher states
// >>roster ---- signed envelopes, roster, invite tokens, key files
// >>link ---- HELLO, handshake, records, frames, streams, credit, priority
// >>member ---- who is in the mesh: SWIM semantics over sessions
// >>net ---- sockets
// >>mesh ---- the node: control socket, routes, cache lookups, config push, invites

#endif // SYKLI_MESH_IMPLEMENTED
#endif // SYKLI_MESH_IMPLEMENTATION
