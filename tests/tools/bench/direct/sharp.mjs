// node sharp.mjs MODE FOLDER: make three previews of every photo of a folder in this process; print the CPU ms of one photo.
// MODE `each` decodes the photo for each preview, as an image proxy does; `once` makes the smaller ones from the larger.
import sharp from 'sharp';
import { readdir } from 'node:fs/promises';
import path from 'node:path';

const EDGES = [1600, 640, 160];
const KERNEL = 'cubic', JPEG = { quality: 82, optimiseCoding: false };
const [mode, folder] = process.argv.slice(2);
sharp.cache(false);
sharp.concurrency(1);

const fit = (image, edge) => image.resize(edge, edge, { fit: 'inside', withoutEnlargement: true, kernel: KERNEL });
const previewOf = (file, edge) => `${file}.${edge}.preview`;

// With a profile, sharp converts the colours before it scales, which takes 165 ms. Here they are converted after.
async function open(file, edge) {
  const image = sharp(file, { failOn: 'error', limitInputPixels: 100_000_000, ignoreIcc: true });
  const { icc } = await image.metadata();
  const scaled = fit(image.rotate().flatten({ background: '#fff' }), edge);
  return icc ? sharp(await scaled.keepIccProfile().tiff({ compression: 'none' }).toBuffer()).toColourspace('srgb') : scaled;
}

const modes = {
  async each(file) {
    for (const edge of EDGES) await (await open(file, edge)).jpeg(JPEG).toFile(previewOf(file, edge));
  },
  async once(file) {
    let image = await open(file, EDGES[0]);
    for (const edge of EDGES) {
      const { data, info } = await fit(image, edge).removeAlpha().raw().toBuffer({ resolveWithObject: true });
      const raw = { width: info.width, height: info.height, channels: info.channels };
      await sharp(data, { raw }).jpeg(JPEG).toFile(previewOf(file, edge));
      image = sharp(data, { raw });
    }
  },
};

const photos = (await readdir(folder)).filter(name => name.endsWith('.jpg')).map(name => path.join(folder, name));
await modes[mode](photos[0]);
const start = process.cpuUsage();
for (const photo of photos) await modes[mode](photo);
const { user, system } = process.cpuUsage(start);
console.log(JSON.stringify({ cpu_ms: { all: (user + system) / 1000 / photos.length }, versions: { sharp: sharp.versions.sharp, libvips: sharp.versions.vips } }));
