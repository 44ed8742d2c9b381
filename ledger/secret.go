package ledger

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// SecretFile is the name of the secret's file in the data directory.
const SecretFile = "secret"

// LoadSecret returns the secret under which keys are hashed: the configured
// one, or else that of the data directory, where it is made at first need and
// readable by its owner only. Two processes that make it at once get the same.
func LoadSecret(configured, dir string) ([]byte, error) {
	if configured != "" {
		return []byte(configured), nil
	}
	path := filepath.Join(dir, SecretFile)
	secret, err := readSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	if err := makeSecret(dir, path); err != nil {
		return nil, fmt.Errorf("make secret %s: %w", path, err)
	}
	return readSecret(path)
}

func readSecret(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	text = bytes.TrimSpace(text)
	if len(text) < 32 {
		return nil, fmt.Errorf("read secret %s: it has %d characters, want at least 32", path, len(text))
	}
	return text, nil
}

// makeSecret writes a whole file beside the path and links it into place,
// which fails where another process was first.
func makeSecret(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:])
	f, err := os.CreateTemp(dir, ".secret-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(hex.EncodeToString(secret[:]) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(dir)
}
