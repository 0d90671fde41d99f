package node

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// identity is what a session proves itself by, and its nodes: an authority of
// its own, in memory only.
type identity struct {
	name      string // server name that nodes ask for
	key       ed25519.PrivateKey
	authority *x509.Certificate
	server    tls.Certificate
	pool      *x509.CertPool
}

// Certificates say nothing of who made them, and of when only that it was lately.
// The clocks of hosts differ, so that ends of validity are far away; a session's
// certificates end with it.
func validity() (from, until time.Time) {
	now := time.Now()
	return now.AddDate(0, 0, -1), now.AddDate(10, 0, 0)
}

// newIdentity makes an identity with a server name; empty: one is made up.
func newIdentity(name string) (*identity, error) {
	id := &identity{pool: x509.NewCertPool(), name: name}
	if name == "" {
		id.name = newName()
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("making the session's key: %w", err)
	}
	id.key = key
	from, until := validity()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		Subject: pkix.Name{CommonName: "authority"},
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err == nil {
		id.authority, err = x509.ParseCertificate(der)
	}
	if err != nil {
		return nil, fmt.Errorf("making the session's certificate: %w", err)
	}
	id.pool.AddCert(id.authority)
	_, serverKey, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("making the session's key: %w", err)
	}
	leaf, err := id.issue(0, serverKey.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	id.server = tls.Certificate{Certificate: [][]byte{leaf}, PrivateKey: serverKey}
	return id, nil
}

// newName makes up a server name, which nobody guesses.
func newName() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails: crypto/rand
	return hex.EncodeToString(b)
}

// issue makes the certificate of node number, or of the server, 0.
func (id *identity) issue(number int, key ed25519.PublicKey) ([]byte, error) {
	from, until := validity()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(number) + 2), NotBefore: from, NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if number == 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		template.DNSNames = []string{id.name}
	} else { // to other nodes
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		template.DNSNames = []string{peerName(id.name, number)}
	}
	der, err := x509.CreateCertificate(nil, template, id.authority, key, id.key)
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	return der, nil
}

// peerName returns the server name by which other nodes ask for node number of a session, who
// know that session's.
func peerName(session string, number int) string { return fmt.Sprintf("node%d.%s", number, session) }

// number returns which node a certificate that the session made is of.
func number(cert *x509.Certificate) int { return int(cert.SerialNumber.Int64()) - 2 }

// config returns the terms for nodes with a certificate.
func (id *identity) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true,
		Certificates: []tls.Certificate{id.server},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: id.pool,
	}
}

// joining returns the terms for the owner of a token: the session's end.
func (s *secrets) joining() (*tls.Config, error) {
	cert, err := bare(s.server)
	return &tls.Config{
		MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true, Certificates: []tls.Certificate{cert},
		ClientAuth: tls.RequireAnyClientCert, VerifyConnection: holds(s.node),
	}, err
}

// join returns the same for the node's end.
func (s *secrets) join() (*tls.Config, error) {
	cert, err := bare(s.node)
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: s.name, Certificates: []tls.Certificate{cert},
		// Not by name and authority, but by the key that only the session has.
		InsecureSkipVerify: true, VerifyConnection: holds(s.server),
	}, err
}

// holds returns a check that the peer has the private key that is given, which the
// handshake makes it prove.
func holds(key ed25519.PrivateKey) func(tls.ConnectionState) error {
	want := key.Public().(ed25519.PublicKey)
	return func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) > 0 {
			if got, ok := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey); ok && bytes.Equal(got, want) {
				return nil
			}
		}
		return errors.New("the other end has another token")
	}
}

// bare returns a certificate that carries a public key and nothing else.
func bare(key ed25519.PrivateKey) (tls.Certificate, error) {
	from, until := validity()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: until}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// member returns the terms on which a node that has a certificate connects.
func member(w *welcome, key ed25519.PrivateKey) (*tls.Config, error) {
	authority, err := x509.ParseCertificate(w.Authority)
	if err != nil {
		return nil, fmt.Errorf("the session's certificate: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(authority)
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: w.Name, RootCAs: pool,
		Certificates: []tls.Certificate{{Certificate: [][]byte{w.Certificate}, PrivateKey: key}},
		// The clock of this host may be wrong by years.
		Time: func() time.Time { return authority.NotBefore.Add(time.Hour) },
	}, nil
}
