package neutral

import "slices"

// The features of the neutral form: what a request can say, by one name for
// all dialects. Each codec declares in its Fields how its clients write a
// feature and what becomes of it when the dialect is the target's.
const (
	FeatureSystem       = "system turns"
	FeatureLateSystem   = "system turns after the first words"
	FeatureDeveloper    = "developer turns"
	FeatureName         = "participants' names"
	FeatureImages       = "images, inline or by URL"
	FeatureImageDetail  = "image detail"
	FeatureAudio        = "audio input"
	FeatureVideo        = "video input"
	FeatureFiles        = "documents, inline or by URL"
	FeatureFileIDs      = "files by a vendor's id"
	FeatureTools        = "function tools"
	FeatureCustomTools  = "custom (free text) tools"
	FeatureClientTools  = "tools of the vendor's that the client runs"
	FeatureVendorTools  = "tools that the vendor runs"
	FeatureStrictTools  = "strict tool schemas"
	FeatureChoice       = "tool choice"
	FeatureChoiceOf     = "tool choice among several named tools"
	FeatureParallel     = "parallel tool calls, allowed or not"
	FeatureToolImages   = "pictures in tool results"
	FeatureToolFailed   = "tool results marked as failed"
	FeatureThoughts     = "earlier reasoning of the model"
	FeatureReasoning    = "reasoning effort or budget"
	FeatureSummary      = "reasoning shown"
	FeatureMaxOutput    = "output limit"
	FeatureTemperature  = "temperature"
	FeatureTopP         = "top_p"
	FeatureTopK         = "top_k"
	FeatureFrequency    = "frequency penalty"
	FeaturePresence     = "presence penalty"
	FeatureSeed         = "seed"
	FeatureStop         = "stop sequences"
	FeatureN            = "several choices"
	FeatureLogprobs     = "log probabilities"
	FeatureJSON         = "JSON output"
	FeatureSchema       = "output by JSON schema"
	FeatureVerbosity    = "verbosity"
	FeatureUser         = "end user's id"
	FeatureMetadata     = "metadata"
	FeatureTier         = "service tier"
	FeatureCacheKey     = "prompt cache key"
	FeatureCacheMarks   = "cache marks on parts"
	FeatureAutoCache    = "automatic cache mark"
	FeatureStore        = "storing the reply"
	FeaturePrevious     = "an earlier stored reply"
	FeatureCitations    = "citations in earlier turns"
	FeatureIncludeUsage = "usage in the stream"
)

// Features lists the features in the order of the documentation's tables.
func Features() []string {
	return []string{
		FeatureSystem, FeatureLateSystem, FeatureDeveloper, FeatureName, FeatureImages, FeatureImageDetail, FeatureAudio,
		FeatureVideo, FeatureFiles, FeatureFileIDs, FeatureTools, FeatureCustomTools, FeatureClientTools, FeatureVendorTools, FeatureStrictTools,
		FeatureChoice, FeatureChoiceOf, FeatureParallel, FeatureToolImages, FeatureToolFailed, FeatureThoughts,
		FeatureReasoning, FeatureSummary, FeatureMaxOutput, FeatureTemperature, FeatureTopP, FeatureTopK, FeatureFrequency,
		FeaturePresence, FeatureSeed, FeatureStop, FeatureN, FeatureLogprobs, FeatureJSON, FeatureSchema, FeatureVerbosity,
		FeatureUser, FeatureMetadata, FeatureTier, FeatureCacheKey, FeatureCacheMarks, FeatureAutoCache, FeatureStore,
		FeaturePrevious, FeatureCitations, FeatureIncludeUsage,
	}
}

// byAPI returns the codec of a conversation API; nil: there is none.
func byAPI(api API) *Codec {
	for _, c := range codecs {
		if c.API == api {
			return c
		}
	}
	return nil
}

// memberName is how the clients of an API write a feature, for notes and
// refusals; where they have no word for it, the feature itself.
func memberName(from API, feature string) string {
	c := byAPI(from)
	if c == nil {
		return feature
	}
	i := slices.IndexFunc(c.Fields, func(f Field) bool { return f.Feature == feature })
	if i < 0 || c.Fields[i].Member == "" {
		return feature
	}
	return c.Fields[i].Member
}
