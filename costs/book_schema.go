package costs

import _ "embed" // the schema

//go:embed data/prices.schema.json
var pricesSchema []byte

// PricesSchema is the JSON schema of a price file, for editors. NewBook is
// stricter: it knows the meters, and which rows overlap.
func PricesSchema() []byte { return pricesSchema }
