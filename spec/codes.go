package spec

import "strings"

// Severity says whether a finding keeps a set from being used.
type Severity string

// The severities of a finding.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note" // what is left open, without being a mistake
)

// Code describes one sort of finding. Its number is stable.
type Code struct {
	Code     string
	Severity Severity
	Summary  string // a format for fmt
	Why      string // one sentence: why this is refused, or worth a warning
}

// Silent says whether a comment may silence findings of the code: what only may be
// wrong, and what would go wrong on a node, but not what keeps a set from being read.
func (c *Code) Silent() bool {
	return c.Severity != Error || strings.HasPrefix(c.Code, "SV05")
}

// The codes: 00 the set and its files, 01 structure, 02 names and references, 03 values,
// 04 what a kind leaves open, 05 what the whole set would do on its nodes, 06 what is
// written for nothing.
const (
	codeNoSet        = "SV0001"
	codeNoService    = "SV0002"
	codeTooMany      = "SV0003"
	codeUnreadable   = "SV0004"
	codeEncoding     = "SV0005"
	codeTooDeep      = "SV0006"
	codeTooLarge     = "SV0007"
	codeMark         = "SV0008"
	codeSyntax       = "SV0101"
	codeSetTwice     = "SV0102"
	codeTopLevel     = "SV0103"
	codeArgument     = "SV0104"
	codeMissing      = "SV0105"
	codeBlockTwice   = "SV0106"
	codeLabels       = "SV0107"
	codeBlock        = "SV0108"
	codeName         = "SV0109"
	codeIsArgument   = "SV0110"
	codeIsBlock      = "SV0111"
	codeClusterFile  = "SV0112"
	codeNoEffect     = "SV0113"
	codeMisplaced    = "SV0114"
	codeTopArgument  = "SV0115"
	codeNotForTask   = "SV0116"
	codeTwiceService = "SV0201"
	codeTwiceName    = "SV0202"
	codeTwiceCheck   = "SV0203"
	codeTwiceDefined = "SV0204"
	codeKind         = "SV0205"
	codeCheckKind    = "SV0206"
	codeUndefined    = "SV0207"
	codeRoot         = "SV0208"
	codeResource     = "SV0209"
	codeField        = "SV0210"
	codeService      = "SV0211"
	codeItself       = "SV0212"
	codeCycle        = "SV0213"
	codeRequireCycle = "SV0214"
	codeLocalCycle   = "SV0215"
	codeAfterQuoted  = "SV0216"
	codeAfter        = "SV0217"
	codeNodeInArg    = "SV0218"
	codeEach         = "SV0219"
	codeKey          = "SV0220"
	codeAttribute    = "SV0221"
	codeFunction     = "SV0222"
	codeNotHere      = "SV0223"
	codeWithApart    = "SV0224"
	codeIsTask       = "SV0225"
	codeEvaluation   = "SV0301"
	codeType         = "SV0302"
	codeDuration     = "SV0303"
	codeWord         = "SV0304"
	codeNumber       = "SV0305"
	codeSize         = "SV0306"
	codeNull         = "SV0307"
	codeForEach      = "SV0308"
	codeInvalid      = "SV0309"
	codeAssert       = "SV0310"
	codeUnused       = "SV0311"
	codeSchedule     = "SV0312"
	codeZone         = "SV0313"
	codeSpread       = "SV0314"
	codeSecretUse    = "SV0315"
	codeSecretPlace  = "SV0316"
	codeNote         = "SV0401"
	codePlainSecret  = "SV0402"
	codeSameAddress  = "SV0501"
	codeSamePort     = "SV0502"
	codeSameMount    = "SV0503"
	codeSameDevice   = "SV0504"
	codeSameName     = "SV0505"
	codeSameFile     = "SV0506"
	codeMountUnder   = "SV0507"
	codeNotAfter     = "SV0508"
	codeNoMount      = "SV0509"
	codeNoSuchNode   = "SV0510"
	codeNoCommonNode = "SV0511"
	codeNeverMet     = "SV0512"
	codeAfterOff     = "SV0513"
	codeNoPause      = "SV0514"
	codeNeverUsedUp  = "SV0515"
	codeSwallowed    = "SV0516"
	codeUnusedVar    = "SV0601"
	codeUnusedLocal  = "SV0602"
	codeDeprecated   = "SV0603"
	codeIgnoreReason = "SV0604"
	codeIgnoreCode   = "SV0605"
	codeIgnoreUnused = "SV0606"
)

var codes = []Code{
	{codeNoSet, Error, "cannot read the set", "A set that can't be read is not an empty set: what runs must not be stopped for a folder that is gone."},
	{codeNoService, Error, "no service is declared", "A set without a service is more often a wrong folder than a wish to run nothing."},
	{codeTooMany, Error, "the set is too large: %s", "Every input has a bound."},
	{codeUnreadable, Error, "cannot read %s", "A file that can't be read may declare anything, so nothing is concluded from the rest."},
	{codeEncoding, Error, "not UTF-8", "Text in another encoding would be read as something that nobody wrote."},
	{codeTooDeep, Error, "nested too deeply", "An expression that no person can follow is refused before it costs memory."},
	{codeTooLarge, Error, "%s is too large", "Every input has a bound."},
	{codeMark, Error, "a character that svcctl keeps for itself", "It stands for the value of a secret inside text, and can't be told from one."},

	{codeSyntax, Error, "%s", "The file is not HCL."},
	{codeSetTwice, Error, "%q is set twice", "Which of two values is meant can't be known."},
	{codeTopLevel, Error, "no block %q at the top level", "A misspelt block would be silently missing."},
	{codeArgument, Error, "%s has no argument %q", "A misspelt argument would silently have no effect."},
	{codeMissing, Error, "%s needs %q", "There is no value that is right for everybody."},
	{codeBlockTwice, Error, "%s takes one block %q", "Which of two blocks is meant can't be known."},
	{codeLabels, Error, "%s takes %s", "The labels of a block are its name."},
	{codeBlock, Error, "%s has no block %q", "A misspelt block would silently have no effect."},
	{codeName, Error, "%q is no name for a %s", "Names become parts of addresses, paths and metrics."},
	{codeIsArgument, Error, "%q is an argument, not a block", "HCL writes arguments and blocks differently."},
	{codeIsBlock, Error, "%q is a block, not an argument", "HCL writes arguments and blocks differently."},
	{codeClusterFile, Error, "%q belongs in cluster.hcl", "What is true of the whole cluster stands in one file, in the root of the set."},
	{codeNoEffect, Warning, "%q is accepted and has no effect %s", "The block is part of the language, and this program does not act on it yet."},
	{codeMisplaced, Error, "%q does not belong in cluster.hcl", "cluster.hcl holds what is true of the whole cluster."},
	{codeTopArgument, Error, "no argument %q at the top level", "Only blocks stand at the top level of a file."},
	{codeNotForTask, Error, "a task takes no %q", "A task runs and ends: nothing about it is kept up."},

	{codeTwiceService, Error, "service %q is declared twice", "Two services can't share a name."},
	{codeTwiceName, Error, "%s is declared twice", "Two resources of a service can't share an address."},
	{codeTwiceCheck, Error, "check %q is declared twice", "Two checks of a resource can't share a name."},
	{codeTwiceDefined, Error, "%s is defined twice in this folder", "Which of two values is meant can't be known."},
	{codeKind, Error, "no kind %q", "Nothing in this program can make such a resource true."},
	{codeCheckKind, Error, "no check %q", "Nothing in this program can run such a check."},
	{codeUndefined, Error, "%s is not defined", "An expression can't be evaluated without it."},
	{codeRoot, Error, "nothing is called %q", "An expression can't be evaluated without it."},
	{codeResource, Error, "no resource %s in service %q", "A reference to nothing would silently order nothing."},
	{codeField, Error, "%s has no field %q to read", "Only fields that are known before a start can be read."},
	{codeService, Error, "no service %q", "A service that waits for one that does not exist would never start."},
	{codeItself, Error, "service %q names itself in %q", "A service can't wait for itself."},
	{codeCycle, Error, "resources wait for each other: %s", "Nothing on a loop can be started first."},
	{codeRequireCycle, Error, "services require each other: %s", "Nothing on a loop can be started first."},
	{codeLocalCycle, Error, "values are made of each other: %s", "Nothing on a loop can be evaluated first."},
	{codeAfterQuoted, Error, "a reference is written without quotes", "Text is not checked; a reference is."},
	{codeAfter, Error, "%q takes a list of resources", "The order of starts is made of references."},
	{codeNodeInArg, Error, "%s can't be read here", "What a service is must be the same on every node; only its resources may differ."},
	{codeEach, Error, "%s outside for_each", "Only instances of for_each have a key and a value."},
	{codeKey, Error, "%s", "A reference to nothing would silently order nothing."},
	{codeAttribute, Error, "%s has no %q", "An expression can't be evaluated without it."},
	{codeFunction, Error, "no function %q", "An expression can't be evaluated without it."},
	{codeNotHere, Error, "%s is not available in service files", "A set must mean the same on every node."},
	{codeWithApart, Error, "service %q is in both %q and %q", "No node can satisfy both."},
	{codeIsTask, Error, "%s is a task", "A task runs now and then: nothing can start behind it, or read from it."},

	{codeEvaluation, Error, "%s", "The expression has no value."},
	{codeType, Error, "%q must be %s", "A value of another type would be read as something that nobody wrote."},
	{codeDuration, Error, "%q is no duration", "A number without a unit has been read as seconds by one and as milliseconds by another."},
	{codeWord, Error, "%s is no value for %q", "The argument knows these words only."},
	{codeNumber, Error, "%q must be %s", "The value can't be held, or makes no sense."},
	{codeSize, Error, "%q is no size", "A size is a number of bytes, or has one of the known units."},
	{codeNull, Error, "%q holds null", "A list or map with a hole has no meaning."},
	{codeForEach, Error, "%s", "Each instance needs a name of its own."},
	{codeInvalid, Error, "%s", "The kind can't work with this configuration."},
	{codeAssert, Error, "assertion failed", "Who wrote the set wants it to be true."},
	{codeUnused, Warning, "%q has no effect %s", "What has no effect is more often a mistake than meant."},
	{codeSchedule, Error, "%s", "A schedule that says something else than was meant is noticed when a run was missing."},
	{codeZone, Error, "no time zone %q", "Times on the wall mean nothing without the place of the wall."},
	{codeSpread, Warning, "%q is longer than the schedule's shortest distance", "A run that is put off beyond the next one's time takes its place."},
	{codeSecretUse, Error, "a secret can't be computed with", "Its value is only known on the node, when it is used; here there is a mark in its place."},
	{codeSecretPlace, Error, "a secret can't stand in %q", "Only arguments that are made for secrets keep them out of logs, states, replies and the list of processes."},

	{codeNote, Note, "%s", "The kind leaves something open that could be closed, or does something that one should know."},
	{codePlainSecret, Warning, "%s stands in the file", "What is in a file is in its history, its copies and every revision that is kept."},

	{codeSameAddress, Error, "address %s is %s's too", "Two that add one address answer for each other, and the first that stops takes it from both."},
	{codeSamePort, Error, "port %s is %s's too", "The second that listens on a port can't start."},
	{codeSameMount, Error, "mount point %s is %s's too", "The second mount hides the first, and its files with it."},
	{codeSameDevice, Error, "device %s is %s's too", "Two that write to one file system destroy it."},
	{codeSameName, Error, "%s is %s's too", "A name is given once on a node: the second would take what is the first's for its own."},
	{codeSameFile, Error, "file %s is %s's too", "Two that write to one image destroy what is in it."},
	{codeMountUnder, Warning, "%s lies under %s", "What is mounted under another service's mount hides or keeps busy what the other one moves."},
	{codeNotAfter, Warning, "%s lies in %s, and %s is not after it", "What starts before its files are mounted finds an empty folder, or writes below the mount."},
	{codeNoMount, Warning, "no mount provides %s", "A path beside a declared mount is more often a slip than a folder of the root file system."},
	{codeNoSuchNode, Error, "there is no node %q", "A candidate that is not there can't take the service over."},
	{codeNoCommonNode, Error, "%s", "What no node can satisfy is never started."},
	{codeNeverMet, Warning, "%s", "What is required must come up by itself: else who requires it stays down, or waits for nothing."},
	{codeAfterOff, Warning, "%s is disabled", "What is disabled is never started, so nothing can be put behind it."},
	{codeNoPause, Warning, "\"timeout\" is as long as \"every\"", "What gives no answer in time is asked again without a pause, so that the slow gets no rest."},
	{codeNeverUsedUp, Warning, "%d attempts within %s can't be used up", "The waits between restarts are longer than the window, so that on_failure never acts."},
	{codeSwallowed, Error, "a comment goes on into %q", "An argument behind a comment on one line has no effect: a lost line break looks like that."},

	{codeUnusedVar, Warning, "nothing reads var.%s", "What nothing reads is more often a misspelt reader than a spare value."},
	{codeUnusedLocal, Warning, "nothing reads local.%s", "What nothing reads is more often a misspelt reader than a spare value."},
	{codeDeprecated, Warning, "%q is deprecated", "It works in this version, and will not in a later one."},
	{codeIgnoreReason, Warning, "svcctl:ignore gives no reason", "Who reads it next year can't tell whether it still holds."},
	{codeIgnoreCode, Warning, "svcctl:ignore can't silence %s", "A code that is unknown, or keeps the set from being read, can't be silenced."},
	{codeIgnoreUnused, Warning, "svcctl:ignore silences no %s", "What was silenced is mended; the comment would hide the next mistake."},
}

var codeByName = func() map[string]*Code {
	m := make(map[string]*Code, len(codes))
	for i := range codes {
		m[codes[i].Code] = &codes[i]
	}
	return m
}()

// Codes lists every sort of finding, in order of their numbers.
func Codes() []Code { return append([]Code(nil), codes...) }
