// The peer's worker as its own maintainers would tune it further: the same graph, queues, outputs and checks, at less CPU.
// It takes the place of the peer's worker.mjs; the server and the settings stay. What differs:
// - normalize decodes the whole original and refuses a damaged one (failOn: 'error'), so validate reads the header only;
// - colours are converted after scaling: before it, as sharp does by itself, a photo with a profile costs 165 ms more;
// - the intermediate has the pixels of each size, each made from the next larger one, so that a resize reads its own only.
import { Worker, Queue, FlowProducer } from 'bullmq';
import sharp from 'sharp';
import { open, writeFile, unlink } from 'node:fs/promises';
import { connect, connection, jobDir, SIZES, QUALITY, KERNEL, OPTIMISE, JOB_OPTS } from './common.mjs';

sharp.cache(false);
sharp.concurrency(Number(process.env.SHARP_CONCURRENCY ?? 1));
const redis = connect();
const normalizeQueue = new Queue('normalize', { connection });
const flow = new FlowProducer({ connection });
const LARGEST_FIRST = Object.entries(SIZES).toSorted(([, one], [, other]) => other - one);
const jpeg = { quality: QUALITY, optimiseCoding: OPTIMISE };
const read = { failOn: 'error', limitInputPixels: 100_000_000, ignoreIcc: true };
const fit = (image, edge) => image.resize(edge, edge, { fit: 'inside', withoutEnlargement: true, kernel: KERNEL });
const pixels = ({ info: { width, height, channels } }) => ({ raw: { width, height, channels } });
const toRaw = image => image.removeAlpha().raw().toBuffer({ resolveWithObject: true });

async function decode(file, edge) {
  const image = sharp(file, read);
  const { icc } = await image.metadata();
  const scaled = fit(image.rotate().flatten({ background: '#fff' }), edge);
  if (!icc) return toRaw(scaled.toColourspace('srgb'));
  const unconverted = await scaled.keepIccProfile().tiff({ compression: 'none' }).toBuffer();
  return toRaw(sharp(unconverted).toColourspace('srgb'));
}

const stages = {
  async validate({ id }) {
    const { format } = await sharp(`${jobDir(id)}/original`, read).metadata();
    if (!['jpeg', 'png', 'webp'].includes(format)) throw new Error(`unsupported ${format}`);
    await normalizeQueue.add('normalize', { id }, JOB_OPTS);
  },
  async normalize({ id }) {
    const levels = {}, parts = [];
    let start = 0, level;
    for (const [size, edge] of LARGEST_FIRST) {
      level = level ? await toRaw(fit(sharp(level.data, pixels(level)), edge)) : await decode(`${jobDir(id)}/original`, edge);
      levels[size] = { start, bytes: level.data.length, ...pixels(level) };
      parts.push(level.data);
      start += level.data.length;
    }
    await writeFile(`${jobDir(id)}/normalized.raw`, parts);
    await flow.add({ name: 'finalize', queueName: 'finalize', data: { id }, opts: JOB_OPTS,
      children: Object.keys(SIZES).map(size => ({ name: 'resize', queueName: 'resize', data: { id, size, ...levels[size] }, opts: { ...JOB_OPTS, failParentOnFailure: true } })) });
  },
  async resize({ id, size, start, bytes, raw }) {
    const pixels = Buffer.allocUnsafe(bytes);
    const file = await open(`${jobDir(id)}/normalized.raw`);
    try { await file.read(pixels, 0, bytes, start); } finally { await file.close(); }
    const written = await sharp(pixels, { raw }).jpeg(jpeg).toFile(`${jobDir(id)}/${size}.jpg`);
    return { size, width: written.width, height: written.height, bytes: written.size };
  },
  async finalize({ id }, job) {
    const outputs = Object.values(await job.getChildrenValues());
    await writeFile(`${jobDir(id)}/manifest.json`, JSON.stringify({ id, outputs }));
    await unlink(`${jobDir(id)}/normalized.raw`).catch(() => {});
    await redis.hset(`img:${id}`, { status: 'done', outputs: JSON.stringify(outputs), done_ms: Date.now() });
  },
};

for (const [name, concurrency] of process.argv[2].split(',').map(each => each.split(':'))) {
  const worker = new Worker(name, job => stages[name](job.data, job), { connection, concurrency: Number(concurrency) });
  worker.on('failed', async (job, error) => {
    console.error(name, job?.data?.id, error.message);
    if (job && job.attemptsMade >= (job.opts.attempts ?? 1))
      await redis.hset(`img:${job.data.id}`, { status: 'failed', error: error.message, done_ms: Date.now() });
  });
}
