// Plays a dialogue with the official .NET client once for each line of its input, several at a time:
//
//   echo json 17 last 30 http://127.0.0.1:5000/hub?play=17 | dotnet cuts-client.dll [JOBS]
//
// A line is protocol, name, whether the dialogue's stream ends "first" or "last", how many seconds the dialogue may take,
// and the URL. The network breaks during the dialogue; something else breaks it, not this program. Prints one JSON object
// per line of input, in the order in which the dialogues end:
//   {"name":"17","starts":1,"error":null,"ms":12}
// "error" says what was lost, came twice or came in another order. After 20 errors no more dialogues are begun.

using System.Text.Json;
using Hubwire.Cuts;

const int MostErrors = 20;

var errors = 0;
var options = new ParallelOptions { MaxDegreeOfParallelism = args.Length > 0 ? int.Parse(args[0]) : 8 };
await Parallel.ForEachAsync(Lines(), options, async (line, _) =>
{
    if (Volatile.Read(ref errors) >= MostErrors) return;
    var result = await Dialogue.Play(line);
    if (result.Error is not null) Interlocked.Increment(ref errors);
    lock (options) Console.WriteLine(JsonSerializer.Serialize(result, JsonSerializerOptions.Web));
});

static IEnumerable<Line> Lines()
{
    while (Console.ReadLine() is { } text)
    {
        var words = text.Split(' ');
        yield return new(words[0], words[1], words[2] == "first", TimeSpan.FromSeconds(int.Parse(words[3])), new(words[4]));
    }
}
