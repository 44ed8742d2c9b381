package app

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"weir/config"
)

// A Token is what the admin API wants as Authorization: Bearer.
type Token struct {
	Value config.Secret
	File  string // where it is kept; "" = it was configured
	Made  bool   // at this start
}

// tokenFile is the name of the token's file in the data directory.
const tokenFile = "admin-token"

// loadToken returns the configured token, or else that of the data directory,
// where it is made at the first start and readable by its owner only.
func loadToken(configured config.Secret, dir string) (Token, error) {
	if configured != "" {
		return Token{Value: configured}, nil
	}
	path := filepath.Join(dir, tokenFile)
	text, err := os.ReadFile(path)
	switch {
	case err == nil && len(strings.TrimSpace(string(text))) >= 16:
		return Token{Value: config.Secret(strings.TrimSpace(string(text))), File: path}, nil
	case err == nil:
		return Token{}, fmt.Errorf("read admin token %s: it is shorter than 16 characters", path)
	case !errors.Is(err, fs.ErrNotExist):
		return Token{}, fmt.Errorf("read admin token: %w", err)
	}
	value := rand.Text() // 130 random bits
	if err := writeFile(path, value+"\n"); err != nil {
		return Token{}, fmt.Errorf("keep admin token: %w", err)
	}
	return Token{Value: config.Secret(value), File: path, Made: true}, nil
}

// AdminToken returns the token of a configured Weir, for those who call it.
func AdminToken(c *config.Config) (Token, error) {
	if c.Admin.Token == "" {
		if _, err := os.Stat(filepath.Join(c.DataDir, tokenFile)); err != nil {
			return Token{}, fmt.Errorf("read admin token: %w", err)
		}
	}
	return loadToken(c.Admin.Token, c.DataDir)
}

// writeFile makes a file that is whole or not there, and its owner's only.
func writeFile(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // made with mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}
