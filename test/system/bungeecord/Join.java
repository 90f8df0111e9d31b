import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import net.md_5.bungee.protocol.Varint21FrameDecoder;

/** Connects as BungeeCord does to a server behind it: sends a login (hex), and prints each frame, the error or the end. */
public class Join {
  public static void main(String[] words) throws Exception {
    NioEventLoopGroup loop = new NioEventLoopGroup(1);
    Bootstrap bootstrap = new Bootstrap().group(loop).channel(NioSocketChannel.class);
    bootstrap.handler(new ChannelInitializer<SocketChannel>() {
      @Override
      protected void initChannel(SocketChannel channel) {
        channel.pipeline().addLast(new Varint21FrameDecoder(), new SimpleChannelInboundHandler<ByteBuf>() {
          @Override
          protected void channelRead0(ChannelHandlerContext context, ByteBuf frame) {
            System.out.println("frame " + ByteBufUtil.hexDump(frame));
          }

          @Override
          public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
            System.out.println("error " + cause.getMessage());
            context.close();
          }
        });
      }
    });
    SocketChannel channel = (SocketChannel) bootstrap.connect(words[0], Integer.parseInt(words[1])).sync().channel();
    channel.writeAndFlush(Unpooled.wrappedBuffer(ByteBufUtil.decodeHexDump(words[2]))).sync();
    channel.closeFuture().sync();
    System.out.println("end");
    loop.shutdownGracefully();
  }
}
