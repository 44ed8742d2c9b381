package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// kits are the installed SDKs of the three languages.
type kits struct {
	python  string // the interpreter of the venv
	scripts string // the Python programs
	node    string // a directory with node_modules and the programs
	golang  string // the Go program
	pycache string
}

// install brings the pinned SDKs into $WEIR_CACHE, by default .cache in the
// checkout. What is there for the same lock files is used as it is.
func install(ctx context.Context, root string) (kits, error) {
	cache := os.Getenv("WEIR_CACHE")
	if cache == "" {
		cache = filepath.Join(root, ".cache")
	}
	cache, err := filepath.Abs(filepath.Join(cache, "sdk"))
	if err != nil {
		return kits{}, err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return kits{}, err
	}
	here := filepath.Join(root, "tests/sdk")
	k := kits{scripts: filepath.Join(here, "python"), golang: filepath.Join(cache, "sdkgo"), pycache: filepath.Join(cache, "pycache")}
	var errs [3]error
	var wg sync.WaitGroup
	wg.Go(func() { k.python, errs[0] = installPython(ctx, k.scripts, cache) })
	wg.Go(func() { k.node, errs[1] = installNode(ctx, filepath.Join(here, "node"), cache) })
	wg.Go(func() { errs[2] = command(ctx, filepath.Join(here, "go"), "go", "build", "-o", k.golang, ".") })
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return kits{}, err
		}
	}
	return k, nil
}

// once fills cache/name-HASH by fill, where HASH is of the version that prog
// prints and of the lock files; a directory without its stamp is begun anew.
func once(ctx context.Context, cache, name string, prog []string, locks []string, fill func(dir string) error) (string, error) {
	h := sha256.New()
	version, err := exec.CommandContext(ctx, prog[0], prog[1:]...).Output()
	if err != nil {
		return "", fmt.Errorf("run %s: %w", strings.Join(prog, " "), err)
	}
	h.Write(version)
	for _, file := range locks {
		b, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		h.Write(b)
	}
	dir := filepath.Join(cache, name+"-"+hex.EncodeToString(h.Sum(nil))[:16])
	stamp := filepath.Join(dir, "complete")
	if _, err := os.Stat(stamp); err == nil {
		return dir, nil
	}
	fmt.Fprintf(os.Stderr, "installing the SDKs of %s into %s\n", name, dir)
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := fill(dir); err != nil {
		return "", err
	}
	return dir, os.WriteFile(stamp, nil, 0o644)
}

func installPython(ctx context.Context, scripts, cache string) (string, error) {
	locks := filepath.Join(scripts, "requirements.txt")
	version := []string{"python3", "-c", "import sys; print(sys.version, sys.base_prefix)"}
	dir, err := once(ctx, cache, "python", version, []string{locks}, func(dir string) error {
		if err := command(ctx, dir, "python3", "-m", "venv", "."); err != nil {
			return err
		}
		return command(ctx, dir, "bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", "-r", locks)
	})
	return filepath.Join(dir, "bin/python"), err
}

// installNode also copies the programs: Node looks for packages beside them.
func installNode(ctx context.Context, programs, cache string) (string, error) {
	locks := []string{filepath.Join(programs, "package.json"), filepath.Join(programs, "package-lock.json")}
	dir, err := once(ctx, cache, "node", []string{"node", "--version"}, locks, func(dir string) error {
		for _, file := range locks {
			if err := copyFile(file, dir); err != nil {
				return err
			}
		}
		return command(ctx, dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	})
	if err != nil {
		return "", err
	}
	scripts, err := filepath.Glob(filepath.Join(programs, "*.mjs"))
	if err != nil {
		return "", err
	}
	for _, file := range scripts {
		if err := copyFile(file, dir); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func copyFile(file, dir string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, filepath.Base(file)), b, 0o644)
}
