// Plays a dialogue with the official .NET client once for each line of its input, several at a time:
//
//   echo json up.17 http://127.0.0.1:5000/hub?play=1 | dotnet cuts-client.dll [JOBS]
//
// A line is protocol, name and URL. The network breaks during the dialogue; who breaks it is not the program's business.
// Prints one JSON object per line of input, in the order in which the dialogues end:
//   {"name":"up.17","starts":1,"error":null,"ms":12}
// "error" says what was lost, came twice or came in another order.

using System.Text.Json;
using Hubwire.Cuts;

var options = new ParallelOptions { MaxDegreeOfParallelism = args.Length > 0 ? int.Parse(args[0]) : 8 };
await Parallel.ForEachAsync(Lines(), options, async (line, _) =>
{
    var result = JsonSerializer.Serialize(await Dialogue.Play(line), JsonSerializerOptions.Web);
    lock (options) Console.WriteLine(result);
});

static IEnumerable<Line> Lines()
{
    while (Console.ReadLine() is { } text)
    {
        var words = text.Split(' ');
        yield return new(words[0], words[1], new(words[2]));
    }
}
