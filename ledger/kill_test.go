package ledger

const victimDir = "WEIR_LEDGER_VICTIM"

func runVictim(string) {}
