package limits_test

import (
	"testing"

	"weir/limits"
	"weir/limits/limitstest"
)

func TestMemory(t *testing.T) {
	limitstest.Run(t, func(_ *testing.T, o limits.Options) limits.Limiter { return limits.NewMemory(o) })
}

func TestGuardOfMemory(t *testing.T) {
	limitstest.Run(t, func(_ *testing.T, o limits.Options) limits.Limiter { return limits.NewGuard(limits.NewMemory(o)) })
}
