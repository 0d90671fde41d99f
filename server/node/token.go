package node

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strings"
)

// Token is the right to join a session, once: 16 random bytes in base32.
type Token string

const tokenBytes = 16

var tokenCoding = base32.StdEncoding.WithPadding(base32.NoPadding)

func newToken() Token {
	b := make([]byte, tokenBytes)
	rand.Read(b) // never fails: crypto/rand
	return Token(strings.ToLower(tokenCoding.EncodeToString(b)))
}

// secrets are what both ends derive from a token. The name is seen by who listens on
// the way; nothing can be computed from it.
type secrets struct {
	name   string             // the server name of the TLS handshake
	server ed25519.PrivateKey // of the session
	node   ed25519.PrivateKey // of the node, for the first connection
}

// derive returns the secrets of a token, or what is wrong with it.
func (t Token) derive() (secrets, error) {
	b, err := tokenCoding.DecodeString(strings.ToUpper(strings.TrimSpace(string(t))))
	if err != nil || len(b) != tokenBytes {
		return secrets{}, fmt.Errorf("%.40q is no join token: it has %d letters and digits, as remotec run prints it",
			string(t), tokenCoding.EncodedLen(tokenBytes))
	}
	of := func(what string) []byte {
		h := hmac.New(sha256.New, b)
		h.Write([]byte("remotec join " + what))
		return h.Sum(nil)
	}
	return secrets{
		name:   hex.EncodeToString(of("name")[:16]),
		server: ed25519.NewKeyFromSeed(of("server")),
		node:   ed25519.NewKeyFromSeed(of("node")),
	}, nil
}
